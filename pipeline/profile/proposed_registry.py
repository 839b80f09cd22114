"""The proposed registry: one entry per call site or discovered shape, with its evidence as comments."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from pipeline.profile.behaviour import Behaviour
from pipeline.profile.propose import Proposal
from pipeline.profile.shapes import Shape
from traffic import config
from traffic.answers import folded, without_reasoning
from traffic.callsites import CallSite, Checks, Registry, ShapeTemplate
from traffic.control_tokens import without_end
from traffic.terminal import printable

SATURATED = 0.02
"""Share of answers in the second half that the first does not have, up to which a label set is taken as complete."""
MIN_LABEL_ROWS = 100
MAX_LABELS = 300
SPELLING_SHARE = 0.2
"""Share of a label's count below which another spelling of it is a slip."""
_CAP_ROOM = 1.25
_CAP_STEP = 16
MIN_CAP_ROWS = 100

_HEAD = """\
# Registry of call sites, proposed by `fasttier profile` from logged requests and answers.
#
# A person decides: fill in `owner` and `reason`, look at the entries under "unsure" first, then
# `fasttier profile --accept` (or a copy of this file as <home>/callsites.yaml) makes it the registry that
# `route`, `replay`, `explain` and `extract` read.
"""


class Profiled(msgspec.Struct, kw_only=True):
    """One shape with what was measured, proposed and counted of it."""

    number: int
    """Of the shape in the temp table `priced`."""
    shape: Shape
    behaviour: Behaviour
    proposal: Proposal
    requests: int = 0
    attempts: int = 0
    spend_usd: float = 0.0
    visibility: str = "unknown"
    output_tokens_p999: int | None = None
    output_rows: int = 0
    label_counts: dict[str, int] = {}
    """Answers as they are, the most frequent first; only where they are short."""
    answered: int = 0


def entries(profiled: Sequence[Profiled], current: Registry) -> list[tuple[CallSite, list[Profiled]]]:
    """Proposed entries with the shapes behind each, the most frequent first.

    What a person wrote in the `current` registry stays: owner, reason, and entries without `confidence`.
    """
    by_name: dict[str, list[Profiled]] = defaultdict(list)
    known = {t.id: site.name for site in current.call_sites for t in site.templates}
    for each in profiled:
        shape = each.shape
        if shape.call_site is None and not shape.templates:
            continue
        kept = next((known[t.id] for t in shape.templates if t.id in known), None)
        by_name[shape.call_site or kept or shape.name].append(each)
    proposed_entries = []
    for name, shapes in by_name.items():
        shapes.sort(key=lambda p: (p.shape.name != name, -p.requests))
        proposed = _entry(name, shapes)
        old = current.get(name)
        if old is not None:
            proposed = _merged(proposed, old)
        proposed_entries.append((proposed, shapes))
    proposed_entries.sort(key=lambda pair: (-sum(p.requests for p in pair[1]), pair[0].name))
    return proposed_entries


def _merged(new: CallSite, old: CallSite) -> CallSite:
    if old.confidence is None and old.tier is not None:
        return msgspec.structs.replace(old, templates=new.templates or old.templates)
    return msgspec.structs.replace(
        new, owner=old.owner, reason=old.reason, high_stakes=old.high_stakes,
        visibility=old.visibility if old.visibility != "unknown" else new.visibility,
    )  # fmt: skip


def _entry(name: str, shapes: Sequence[Profiled]) -> CallSite:
    main = shapes[0]
    if not main.requests:
        main = max(shapes, key=lambda p: p.requests)
    templates: list[ShapeTemplate] = []
    for each in shapes:
        same = each.proposal.tier == main.proposal.tier
        templates += [
            t if same else msgspec.structs.replace(t, tier=each.proposal.tier, request_type=each.proposal.request_type)
            for t in each.shape.templates
        ]
    return CallSite(
        name=name,
        request_type=main.proposal.request_type,
        visibility=main.visibility if main.visibility in ("human", "background") else "unknown",  # type: ignore[arg-type]
        tier=main.proposal.tier,
        checks=checks(main) if len(shapes) == 1 else Checks(),
        max_tokens=output_cap(shapes),
        confidence=round(min(p.proposal.confidence for p in shapes), 2),
        templates=tuple({t.id: t for t in templates}.values()),
    )


def checks(p: Profiled) -> Checks:
    """Checks that the logged answers of a Tier 1 shape already satisfy, but for a few faults."""
    b = p.behaviour
    if p.proposal.tier != 1:
        return Checks()
    if b.json_share >= 0.9 and b.keys:
        required = [key for key in b.keys if "." not in key and "[]" not in key and key in b.always_keys]
        schema = {"type": "object", "required": required} if b.object_share >= 0.9 and required else None
        return Checks(json=schema is None and b.object_share >= 0.9, json_schema=schema)
    labels = label_set(p)
    return Checks(labels=labels) if labels else Checks()


def label_set(p: Profiled) -> tuple[str, ...]:
    """The closed set of answers, with labels that only the prompt lists; empty where it may not be complete."""
    b = p.behaviour
    if b.json_share >= 0.5 or b.answer_words_p90 > 8 or b.common_answer_share < 0.75 or p.answered < MIN_LABEL_ROWS:
        return ()
    total = sum(p.label_counts.values())
    counts = spellings_merged(p.label_counts)
    # An answer that is not on the list comes up now and then; a label comes up again.
    often = [text for text, n in counts.items() if n >= max(2, 0.0005 * total) and len(text) <= 80]
    seen = {text for text in often if text.casefold() in p.shape.prompt.casefold()}
    listed = listed_labels(p.shape.prompt, seen)
    if listed and len(seen) >= 0.5 * len(often):
        return tuple(sorted(seen | listed))[:MAX_LABELS]
    covered = sum(counts[text] for text in often)
    if b.new_answer_share > SATURATED or covered < 0.97 * total or len(often) > MAX_LABELS:
        return ()
    return tuple(sorted(often))


def spellings_merged(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts with rare spellings of a label ("Spam.", "answer: spam") added to its most frequent one."""
    stripped = Counter[str]()
    for text, n in counts.items():
        stripped[without_end(without_reasoning(text)).strip()] += n
    stripped.pop("", None)
    label_of: dict[str, str] = {}
    merged: dict[str, int] = {}
    for text, n in stripped.most_common():
        label = label_of.setdefault(folded(text), text)
        if label == text or n >= SPELLING_SHARE * merged[label]:
            merged[text] = n
        else:
            merged[label] += n
    return merged


def listed_labels(prompt: str, seen: set[str]) -> set[str]:
    """Items of the prompt's lists that hold most of the labels that were seen."""
    labels: set[str] = set()
    for line in re.split(r"\n\s*\n", prompt):
        items = {item for part in re.split(r"[,\n|]", line) if (item := part.strip(" \t-*•`\"'.").strip())}
        hits = items & seen
        if len(hits) >= 3 and len(hits) >= 0.5 * len(items):
            shape = max(len(item) for item in hits)
            labels |= {item for item in items if len(item) <= 1.5 * shape and len(item.split()) <= 4}
    return labels


def output_cap(shapes: Sequence[Profiled]) -> int | None:
    """max_tokens a little above the p99.9 of the answers; None where too few are known."""
    rows = sum(p.output_rows for p in shapes)
    known = [p.output_tokens_p999 for p in shapes if p.output_tokens_p999 is not None]
    if rows < MIN_CAP_ROWS or not known:
        return None
    return -(-int(max(known) * _CAP_ROOM + 1) // _CAP_STEP) * _CAP_STEP


def text(proposed: Iterable[tuple[CallSite, list[Profiled]]]) -> str:
    """The registry file: sure entries, then those that a person should decide."""
    listed = list(proposed)
    unsure = [pair for pair in listed if any(p.proposal.unsure for p in pair[1])]
    sure = [pair for pair in listed if pair not in unsure]
    parts = [_HEAD, "schema_version: 1\n", "call_sites:\n" if listed else "call_sites: []\n"]
    for title, pairs in (("sure", sure), ("unsure: sent to Tier 2 until a person decides", unsure)):
        if pairs:
            parts.append(f"\n  # {'-' * 20} {title} ({len(pairs)})\n")
            parts += [_shown(site, shapes) for site, shapes in pairs]
    return "".join(parts)


def _shown(site: CallSite, shapes: Sequence[Profiled]) -> str:
    requests, spend_usd = sum(p.requests for p in shapes), sum(p.spend_usd for p in shapes)
    lines = [f"\n  # {_in_comment(site.name)}: {requests:,} requests, {spend_usd:,.2f} USD"]
    for each in shapes:
        p = each.proposal
        name = f"{_in_comment(each.shape.name)}: " if len(shapes) > 1 else ""
        lines.append(f"  # {name}tier {p.tier}, confidence {p.confidence:.2f}{', UNSURE' if p.unsure else ''}; because")
        lines += [f"  #   {_in_comment(e.what)}{_points(e.points)}" for e in p.evidence]
    tree = _tree(site)
    body = _indented(yaml.dump([tree], Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=110))
    if any(separator in body for separator in "\x85\u2028\u2029") or _loaded(body) != [tree]:
        body = _indented(yaml.safe_dump([tree], sort_keys=False, allow_unicode=False, width=110))
    return "\n".join([*lines, body]) + "\n"


class _Blocks(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read the prompts."""


_Blocks.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _indented(body: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in body.rstrip("\n").split("\n"))


def _loaded(body: str) -> Any:
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError:
        return None


def _tree(site: CallSite) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(site)
    default: dict[str, Any] = msgspec.to_builtins(CallSite(name=""))
    kept = {k: v for k, v in tree.items() if k in ("name", "owner", "reason") or v != default[k]}
    if "checks" in kept:
        kept["checks"] = {k: v for k, v in kept["checks"].items() if v != default["checks"][k]}
    return kept


def _points(points: dict[str, float]) -> str:
    listed = ", ".join(f"{name} {value:+.1f}" for name, value in points.items())
    return f" ({listed})" if listed else ""


def _in_comment(text: str) -> str:
    return printable(" ".join(text.split()))


def parse(written: str, source: str) -> Registry:
    """The registry of a file's text. Raises: ConfigError."""
    return config.convert(yaml.safe_load(written), Registry, source=source)
