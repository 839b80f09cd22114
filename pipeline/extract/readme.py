"""The dataset's card as a page: `README.md` beside the rows, which says what `dataset.yaml` says, for people.

It holds counts, labels and the company's own prompts; no text of a customer. The hub's dataset viewer
reads its head, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import pages
from pipeline.dataset import SPLITS, TaskDataset
from pipeline.extract import charts
from traffic import config

_MOST = 40
_MINUTES = 16


def files(card: TaskDataset) -> dict[str, bytes]:
    """README.md and its charts, by file name."""
    pictures = charts.svgs(card)
    return {"README.md": page(card, pictures).encode(), **pictures}


def page(card: TaskDataset, pictures: Iterable[str] = ()) -> str:
    """The page; `pictures` are the files that lie beside it."""
    have = set(pictures)

    def picture(name: str, title: str) -> list[str]:
        return [f"![{title}]({name})", ""] if name in have else []

    lines = [
        *_front_matter(card),
        f"# {card.task}: training set",
        "",
        (
            f"{card.rows:,} rows out of {card.rows_considered:,} logged attempts, {card.source_first[:10]} to "
            f"{card.source_last[:10]}. Made by `fasttier extract`; `dataset.yaml` has the same facts for machines. "
            "Times are UTC."
        ),
        "",
        *_splits(card),
        *picture("days.svg", "Rows per day and split"),
        *_section("What was left out", _filters(card), picture("filters.svg", "What the filters removed")),
        *_section("Labels", _labels(card), picture("labels.svg", "Rows per label")),
        *_section("Cohorts", _cohorts(card), picture("cohorts.svg", "Cohorts by split")),
        *_section("Prompts", _prompts(card), picture("tokens.svg", "Mean prompt")),
        *_section("Leakage between splits", _leakage(card)),
        *_section("Drift", _drift(card)),
        *_section("Personal data", _privacy(card)),
        *_section("Rights", _rights(card)),
        *_section("Settings", _settings(card)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _front_matter(card: TaskDataset) -> list[str]:
    parts = [line for split in SPLITS for line in (f"  - split: {split}", f"    path: {split}.parquet")]
    return ["---", "configs:", "- config_name: default", "  data_files:", *parts, "---", ""]


def _section(title: str, body: Sequence[str], pictures: Sequence[str] = ()) -> list[str]:
    return [f"## {title}", "", *body, "", *pictures] if body or pictures else []


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    body = [[_cell(value) for value in row] for row in rows]
    if not body:
        return []
    return pages.markdown_table([head, *body]).splitlines()


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{_cell(name)} {n:,}" for name, n in list(counts.items())[:_MOST]]
    more = len(counts) - _MOST
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _splits(card: TaskDataset) -> list[str]:
    rows = [
        (name, part.rows, (part.first or "")[:_MINUTES], (part.last or "")[:_MINUTES])
        for name, part in card.splits.items()
    ]
    said = [*_table(("split", "rows", "first", "last"), rows), ""]
    groups = card.groups
    if groups.groups:
        said += [
            (
                f"{groups.rows:,} rows stand in {groups.groups:,} groups ({', '.join(groups.by)}) that no split "
                f"shares; the largest has {groups.largest:,} rows."
            ),
            "",
        ]
    return said


def _filters(card: TaskDataset) -> list[str]:
    removing = [(each.name, each.removed, each.reason) for each in card.filters if each.removed]
    idle = [each.name for each in card.filters if not each.removed]
    said = _table(("filter", "removed", "why"), removing)
    if idle:
        said += ["", f"Removed nothing: {', '.join(idle)}."]
    if card.skipped_call_sites:
        skipped = _table(("call site left out", "why"), card.skipped_call_sites.items())
        said += ["", *skipped]
    return said


def _labels(card: TaskDataset) -> list[str]:
    said = [f"Answers must satisfy: {_cell(card.checks_source)}.", ""] if card.checks_source else []
    said += [f"Where they come from: {_listed(card.label_sources)}."]
    if card.labels:
        said += ["", f"{len(card.labels)} labels: {_listed(card.labels)}."]
    if card.suspects:
        by_split, reasons = card.suspects.get("splits", {}), card.suspects.get("reasons", {})
        said += [
            "",
            (
                f"{sum(by_split.values()):,} answers are probably wrong ({_listed(by_split)}; by reason: "
                f"{_listed(reasons)}); `suspects.csv` lists them."
            ),
        ]
    return said


def _cohorts(card: TaskDataset) -> list[str]:
    said: list[str] = []
    for key, counts in card.cohorts.items():
        strata = card.strata.get(key)
        if strata is None:
            said += [f"{key}: {_listed(counts)}.", ""]
            continue
        rows = [(value, *(strata.get(value, {}).get(split, 0) for split in SPLITS)) for value in list(counts)[:_MOST]]
        said += [*_table((key, *SPLITS), rows), ""]
    return said[:-1]


def _prompts(card: TaskDataset) -> list[str]:
    billed = f", {card.prompt_tokens_logged:,} tokens as billed" if card.prompt_tokens_logged is not None else ""
    said = [
        (
            f"Mean prompt: {card.prompt_chars_original:,} characters as sent{billed}; {card.prompt_chars_pruned:,} "
            f"characters (about {-(-card.prompt_chars_pruned // 4):,} tokens) after pruning. The fixed text is "
            "replaced, what varies is kept; `dataset.yaml` has the templates."
        ),
        "",
    ]
    said += _table(
        ("template", "call site", "requests", "share", "slots", "first", "last", ""),
        (
            (
                each.id,
                each.call_site,
                each.requests,
                f"{each.share:.1%}",
                each.slots,
                each.first[:_MINUTES],
                each.last[:_MINUTES],
                "retired before the test split" if each.retired else "",
            )
            for each in card.prompts.templates
        ),
    )
    changes = _table(
        ("changed at", "call site", "from", "to", "lines", "first change"),
        (
            (
                each.at[:_MINUTES],
                each.call_site,
                each.from_template,
                each.to_template,
                f"+{each.lines_added} -{each.lines_removed}",
                each.first_change,
            )
            for each in card.prompts.changes
        ),
    )
    said += ["", *changes] if changes else []
    for site, n in card.prompts.unmatched.items():
        lately = card.prompts.unmatched_lately.get(site)
        late = f"; {lately:.0%} of the latest do not: the prompt changed too lately to train on" if lately else ""
        said += ["", f"{n:,} requests of {site} match no template{late}."]
    return said


def _leakage(card: TaskDataset) -> list[str]:
    if not card.leakage:
        return []
    rows = (
        (split, x.rows, x.exact, x.near, x.sessions, x.users, f"{x.ngrams_in_train:,} of {x.ngrams:,}")
        for split, x in card.leakage.items()
    )
    return [
        "Rows that also stand in an earlier split; exact and near must be 0, the rest is for information.",
        "",
        *_table(("split", "rows", "exact", "near", "same session", "same user", "shares 8 words with train"), rows),
    ]


def _drift(card: TaskDataset) -> list[str]:
    said: list[str] = []
    if card.unseen_labels:
        said = [f"Labels of the test split that train does not have: {_listed(card.unseen_labels)}.", ""]
    for title, arrivals in (("label", card.drift.labels), ("template", card.drift.templates)):
        rows = ((x.value, x.call_site, x.first_seen[:10], x.rows, x.train_rows, x.test_rows) for x in arrivals)
        table = _table((f"new {title}", "call site", "since", "rows", "in train", "in test"), rows)
        said += [*table, ""] if table else []
    return said[:-1] or ["No label of the test split is new since train, and no label or template came up late."]


def _privacy(card: TaskDataset) -> list[str]:
    found = card.personal_data
    if found is None:
        return ["Nobody looked for any."]
    rows = (
        (
            kind,
            n,
            found.redacted.get(kind, 0),
            found.rows_excluded.get(kind, 0),
            len(found.static.get(kind, ())),
            "allowed by name" if kind in found.allowed else "",
        )
        for kind, n in found.found.items()
    )
    head = ("type", "found", "replaced", "rows left out", "in the company's own prompts", "")
    said = [f"Action: {found.action}.", "", *_table(head, rows)]
    if found.names:
        said += ["", f"Names: {_cell(found.names)}."]
    if found.recognisers:
        said += ["", "Looked for by " + ", ".join(f"{name} {v}" for name, v in found.recognisers.items()) + "."]
    return said


def _rights(card: TaskDataset) -> list[str]:
    found = card.rights
    said = [f"Left out because the customer or user opted out: {found.opted_out:,} rows."]
    if found.restricted:
        said += ["", f"Left out because of their provider's terms: {_listed(found.restricted)}."]
    if found.answers:
        said += ["", f"Answers of models in the set, by terms: {_listed(found.answers)}."]
    if found.not_listed:
        said += ["", f"Of providers whose terms nobody looked up: {_listed(found.not_listed)}."]
    rows = (
        (
            terms.name,
            terms.confirmed_on or "day not stated",
            terms.outputs,
            terms.clause,
            f"{terms.source} ({terms.terms_verified}, {terms.terms_read})",
        )
        for terms in found.confirmed
    )
    table = _table(("confirmed by the user", "on", "published terms", "clause", "source"), rows)
    return [*said, "", *table] if table else said


def _settings(card: TaskDataset) -> list[str]:
    if not card.config:
        return []
    return ["```yaml", config.dump(card.config).rstrip(), "```"]
