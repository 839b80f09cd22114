"""Differences from an older registry: shapes that behave differently, are new, or have vanished."""

from collections.abc import Sequence

from pipeline.profile.proposed_registry import Profiled
from traffic.callsites import CallSite, Registry


def changes(proposed: Sequence[tuple[CallSite, list[Profiled]]], older: Registry) -> list[str]:
    """One line for each difference, the most frequent call sites first."""
    lines = []
    templates = {t.id: site for site in older.call_sites for t in site.templates}
    names = {site.name for site, _ in proposed}
    seen: set[str] = set()
    for site, shapes in proposed:
        # A call site that is still there under its own name only shares its prompt.
        same_prompt = (templates[t.id] for t in site.templates if t.id in templates)
        before = older.get(site.name) or next((old for old in same_prompt if old.name not in names), None)
        requests = sum(p.requests for p in shapes)
        if before is None:
            lines.append(f"{site.name}: appeared, {requests:,} requests, tier {site.tier}")
            continue
        seen.add(before.name)
        if before.name != site.name:
            lines.append(f"{site.name}: renamed, was {before.name}")
        if before.tier is not None and before.tier != site.tier:
            lines.append(f"{site.name}: tier {before.tier} -> {site.tier}")
        if before.request_type is not None and before.request_type != site.request_type:
            lines.append(f"{site.name}: {before.request_type} -> {site.request_type}")
        known = {t.id for t in before.templates}
        fresh = [t.id for t in site.templates if t.id not in known]
        if known and fresh:
            lines.append(f"{site.name}: {len(fresh)} new prompts ({', '.join(fresh[:3])})")
        new_labels = set(site.checks.labels) - set(before.checks.labels)
        if before.checks.labels and new_labels:
            lines.append(f"{site.name}: {len(new_labels)} new labels ({', '.join(sorted(new_labels)[:5])})")
    lines += [f"{site.name}: vanished" for site in older.call_sites if site.name not in seen]
    return lines
