"""Build a task dataset from the logged requests of one or more call sites.

    fasttier extract --task support.intent
    fasttier extract --task support.intent --task inbox.spam --name triage
    fasttier extract --tier 1

Reads the records store; writes data/datasets/<task>@<hash>/ with five Parquet files and dataset.yaml,
which records how many rows each filter removed. The same store, settings and seed give the same bytes.
"""

from collections.abc import Mapping, Sequence

import msgspec

from pipeline.dataset import Groups
from pipeline.extract import (
    balance,
    card,
    consent_and_terms,
    drift,
    filters,
    groups,
    label_coverage,
    label_quality,
    leakage,
    readme,
    selection,
    splits,
    write,
)
from pipeline.extract.call_site import Task
from pipeline.extract.config import ExtractConfig, SplitFractions
from pipeline.extract.label_quality import Suspect
from pipeline.extract.rows import Row
from pipeline.extract.summary import ExtractSummary
from traffic.adapters import CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.config import CONFIGS
from traffic.errors import ConfigError, NotEnoughData
from traffic.policy import Policy, load

__all__ = ["ExtractConfig", "ExtractSummary", "SplitFractions", "run"]

ALL_TIER_1 = "tier-1"
"""Name of the task that holds every Tier 1 call site of the log."""

_DEFAULTS, _NO_ENTRIES = ExtractConfig(), Registry()


def run(
    task: str | Sequence[str] | None = None,
    *,
    home: Home,
    config: ExtractConfig = _DEFAULTS,
    registry: Registry = _NO_ENTRIES,
    policy: Policy | None = None,
    name: str | None = None,
) -> ExtractSummary:
    """Write the task dataset of one or several call sites; without `task`, of every Tier 1 call site of the log.

    `name`: the task's name, required for several call sites. `policy`: default `configs/router.yaml`.

    Raises: ConfigError without a name, NotFound for an unknown call site, InputError if it is not Tier 1,
    NotEnoughData if too few rows are left for five splits.
    """
    names = (task,) if isinstance(task, str) else tuple(task or ())
    title = _title(names, name)
    rules = load(CONFIGS / "router.yaml") if policy is None else policy
    tasks, skipped = selection.collect(home, names, config, registry, rules)

    ledger = filters.Ledger(0)
    for task_data in tasks:
        ledger.include(task_data.ledger)
    coverage = label_coverage.CoverageTracker(
        ledger, (row for part in tasks for row in part.rows), {part.name: part.checks.checks for part in tasks}
    )
    rows = sorted((row for part in tasks for row in part.rows), key=lambda row: (row.ts, row.id))
    alike = groups.without_copies(rows, config, ledger)
    grouped = groups.form(alike, config)
    consent_and_terms.refuse_too_few(alike.rows, title, config, ledger)
    if len(alike.rows) < config.min_rows:
        raise NotEnoughData(
            f"{ledger.too_few(title, len(alike.rows), config.min_rows)}; ingest more of the log, "
            f"or --set min_rows={max(5, len(alike.rows))}"
        )
    coverage.note(alike.rows)
    parts, straddling = splits.by_time(alike.rows, config, title)
    ledger.add(
        "straddles_split", straddling, "part of a group of an earlier split, but later than the end of that split"
    )
    parts = groups.without_leaks(parts, config, ledger)
    splits.refuse_empty(parts, config, title)
    tasks, parts = selection.trained(tasks, parts, skipped, ledger, chosen=bool(names))
    parts["train"] = balance.thin(parts["train"], config, ledger)
    parts["train"] = balance.cap_escalated(parts["train"], config.escalated, ledger)
    answers = {part.name: label_quality.Task(part.request_type, part.checks.checks) for part in tasks}
    coverage.note(row for part in parts.values() for row in part)
    parts, suspects = label_quality.apply(parts, answers, config.label_quality, ledger)
    coverage.note(row for part in parts.values() for row in part)
    return _write_dataset(home, title, tasks, skipped, parts, grouped, suspects, ledger, config)


def _title(names: Sequence[str], name: str | None) -> str:
    if len(names) > 1 and name is None:
        raise ConfigError(f"{len(names)} call sites: name the task with --name")
    return name or (ALL_TIER_1 if not names else names[0])


def _write_dataset(
    home: Home,
    name: str,
    tasks: Sequence[Task],
    skipped: dict[str, str],
    parts: Mapping[str, Sequence[Row]],
    grouped: Groups,
    suspects: Sequence[Suspect],
    ledger: filters.Ledger,
    config: ExtractConfig,
) -> ExtractSummary:
    """Writes the dataset's folder and returns the summary."""
    rows = [row for part in parts.values() for row in part]
    prompts = {part.name: _prompts(part, [row for row in rows if row.call_site == part.name]) for part in tasks}
    dataset = card.describe(name, prompts, tasks, ledger, parts, config, grouped)
    labelled = [site for site, site_prompts in prompts.items() if site_prompts.checks.labels]
    dataset = msgspec.structs.replace(
        dataset,
        suspects=label_quality.described(suspects),
        leakage=leakage.report(parts, config),
        drift=drift.report(parts, labelled),
        strata=card.strata(parts, dataset.cohort_keys, labelled),
        removed_by_call_site={part.name: part.ledger.counts() for part in tasks} if len(tasks) > 1 else {},
        skipped_call_sites=skipped,
    )
    files = {split: write.parquet_bytes(part, dataset.cohort_keys, name) for split, part in parts.items()}
    extras = {label_quality.FILE: label_quality.csv_bytes(suspects)} | readme.files(dataset)
    dataset, folder, is_new = write.write(home, dataset, files, extras)
    billed = [row.input_tokens for row in rows if row.input_tokens]
    return ExtractSummary(
        task=name,
        dataset=dataset.name,
        path=str(folder),
        written=is_new,
        request_type=", ".join(dict.fromkeys(part.request_type for part in tasks)),
        rows_considered=dataset.rows_considered,
        rows=dataset.rows,
        rights=dataset.rights,
        prompts=dataset.prompts,
        filters=dataset.filters,
        splits=dataset.splits,
        label_sources=dataset.label_sources,
        labels=sum(len(part.checks.checks.labels) for part in tasks),
        checks_source=dataset.checks_source,
        label_variants=sum(ledger.variants.values()),
        emptied_labels=dataset.emptied_labels,
        unseen_labels=dataset.unseen_labels,
        templates=sum(len(site.templates) for site in prompts.values()),
        max_tokens=max(site.max_tokens for site in prompts.values()),
        prompt_chars_original=dataset.prompt_chars_original,
        prompt_chars_pruned=dataset.prompt_chars_pruned,
        prompt_tokens_logged=round(sum(billed) / len(billed)) if billed else None,
        prompt_tokens_pruned=-(-dataset.prompt_chars_pruned // 4),
        suspects=dataset.suspects,
        call_sites={part.name: sum(row.call_site == part.name for row in rows) for part in tasks},
        skipped_call_sites=skipped,
        groups=dataset.groups,
        leakage=dataset.leakage,
        drift=dataset.drift,
        personal_data=dataset.personal_data,
    )


def _prompts(task: Task, rows: Sequence[Row]) -> CallSitePrompts:
    used = {row.template for row in rows}
    return CallSitePrompts(
        templates=tuple(template for template in task.templates if template.id in used),
        request_type=task.request_type,
        checks=task.checks.checks,
        max_tokens=card.max_tokens(row.answer for row in rows),
        redaction=task.redaction,
    )
