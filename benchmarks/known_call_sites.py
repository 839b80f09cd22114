"""Proposes tiers for each author's known call sites, with models fitted to those of all other authors.

    python -m benchmarks.known_call_sites [--json FILE]
    python -m benchmarks.known_call_sites --log LOG --gold GOLD --author NAME --company NAME

The signals were tuned on most of these companies, so only the fitted half of a proposal is tested on unseen authors.
With `--log`, profiles the log of a new company and appends its call sites to `pipeline/profile/known_call_sites.jsonl`.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness
from benchmarks.gold import read_gold
from benchmarks.open_log import stage
from pipeline import store
from pipeline.profile import facts, known_call_sites, measure, sample, shapes
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.known_call_sites import FILE, PROMPT_CHARS, KnownCallSite, TierModel
from pipeline.profile.propose import propose
from traffic.artifacts import Home

PURE_SHARE = 0.8
"""Minimum share of a shape's requests in one tier; a shape of several tiers is left out."""
_DEFAULTS: dict[str, Any] = msgspec.to_builtins(Behaviour(sampled=0, answered=0))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    for name, kind in (("log", Path), ("gold", Path), ("author", str), ("company", str)):
        parser.add_argument(f"--{name}", type=kind)
    options = parser.parse_args(arguments)
    known = known_call_sites.load()
    if options.log is None:
        figures = measured(known)
        harness.show(figures, options.json, lines(figures))
        return
    if None in (options.gold, options.author, options.company):
        parser.error("--log needs --gold, --author and --company")
    if options.company in {site.company for site in known}:
        parser.error(f"--company {options.company}: its call sites are in {FILE} already")
    with tempfile.TemporaryDirectory() as folder:
        added = of_log(options.log, options.gold, options.author, options.company, Home(Path(folder)))
    with FILE.open("ab") as out:
        out.writelines(msgspec.json.encode(slim(site)) + b"\n" for site in added)
    harness.show({"added": len(added)}, options.json, [f"{len(added)} call sites added to {FILE}"])


def measured(known: Sequence[KnownCallSite]) -> dict[str, Any]:
    """By company: author, number of requests, and the shares of them sent too low and too high."""
    by_company: dict[str, dict[str, Any]] = {}
    for author in sorted({site.author for site in known}):
        model = TierModel([site for site in known if site.author != author])
        errors: dict[str, Counter[str]] = defaultdict(Counter)
        own = [site for site in known if site.author == author]
        tiers = model.probabilities([(site.behaviour, site.prompt) for site in own])
        for site, probabilities in zip(own, tiers, strict=True):
            tier = propose(site.behaviour, probabilities).tier
            error = "sent_low" if tier < site.tier else "sent_high" if tier > site.tier else "right"
            errors[site.company].update({"requests": site.requests, error: site.requests})
        for company, counts in errors.items():
            shares = {f"{key}_share": counts[key] / counts["requests"] for key in ("sent_low", "sent_high")}
            by_company[company] = {"author": author, "requests": counts["requests"], **shares}
    return by_company


def lines(figures: dict[str, Any]) -> Iterable[str]:
    rows = [
        (name, own["author"], own["requests"], f"{own['sent_low_share']:.2%}", f"{own['sent_high_share']:.2%}")
        for name, own in figures.items()
    ]
    low, high = (
        sum(own[f"{key}_share"] for own in figures.values()) / len(figures) for key in ("sent_low", "sent_high")
    )
    rows.append(("mean", "", "", f"{low:.2%}", f"{high:.2%}"))
    return harness.table(("company", "author", "requests", "low", "high"), rows)


def of_log(log: Path, gold: Path, author: str, company: str, home: Home) -> list[KnownCallSite]:
    """The call sites of a log whose requests are nearly all of one tier."""
    stage("ingest", str(log), home=home)
    connection = store.connect(home)
    groups = sample.groups(connection)
    discovered = shapes.discover(connection, groups, sample.draw(connection, groups))
    facts.build(connection)
    tier_of = {row.id: row.tier_true for row in read_gold(gold) if row.tier_true is not None}
    tiers: dict[int, Counter[int]] = defaultdict(Counter)
    for key, number in connection.execute("select id, shape from priced where purpose = 'serve'").fetchall():
        if key in tier_of:
            tiers[number][tier_of[key]] += 1
    sites = []
    for profiled in measure.profiled(connection, discovered.shapes):
        counts = tiers[profiled.number]
        if not counts or max(counts.values()) < PURE_SHARE * counts.total():
            continue
        sites.append(
            KnownCallSite(
                author=author,
                company=company,
                name=profiled.shape.name,
                tier=counts.most_common(1)[0][0],
                requests=counts.total(),
                prompt=profiled.shape.prompt[:PROMPT_CHARS],
                # Answers may be texts of a data set with a licence of its own.
                behaviour=msgspec.structs.replace(profiled.behaviour, labels=()),
            )
        )
    return sites


def slim(site: KnownCallSite) -> dict[str, Any]:
    """As it is written: without measurements that have their default, numbers with three decimals."""
    tree: dict[str, Any] = msgspec.to_builtins(site)
    behaviour = {k: v for k, v in tree["behaviour"].items() if k not in _DEFAULTS or v != _DEFAULTS[k]}
    tree["behaviour"] = {k: _rounded(v) for k, v in behaviour.items()}
    return tree


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    return {k: _rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
