"""One call site's logged traffic as a training set: filtered, de-duplicated, pruned, cut by time.

    fasttier extract --task support.intent

Reads the records store; writes data/datasets/<task>@<hash>/ with five Parquet files and dataset.yaml,
which says what every filter removed. The same store, settings and seed give the same bytes.
"""

import msgspec

from pipeline import store
from pipeline.dataset import Filter, Split
from pipeline.extract import card, filters, rows, splits, tiers, write
from pipeline.extract.config import ExtractConfig, SplitFractions
from pipeline.extract.task import discover_checks, request_type_of
from traffic.adapters import CallSitePrompts
from traffic.callsites import Registry
from traffic.config import CONFIGS
from traffic.errors import InputError
from traffic.home import Home
from traffic.policy import Policy, load
from traffic.prompts import find_templates, pruned_system

__all__ = ["ExtractConfig", "ExtractSummary", "SplitFractions", "run"]

_TEMPLATE_SAMPLE = 20_000
_DEFAULTS, _NO_ENTRIES = ExtractConfig(), Registry()


class ExtractSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `extract` did."""

    task: str
    dataset: str
    """`<task>@<hash8>`."""
    path: str
    written: bool
    """False: the same dataset was there already."""
    request_type: str
    rows_considered: int
    rows: int
    filters: tuple[Filter, ...]
    splits: dict[str, Split]
    label_sources: dict[str, int]
    labels: int
    """Size of the label set; 0 for tasks without one."""
    checks_source: str
    unseen_labels: dict[str, int]
    """Labels of the test split that the train split does not have, with their test rows: drift."""
    templates: int
    max_tokens: int
    prompt_chars_original: int
    prompt_chars_pruned: int
    prompt_tokens_logged: int | None
    """Mean input tokens as billed; None where the log has no usage."""
    prompt_tokens_pruned: int
    """Estimated at 4 characters a token, without the chat template's own."""

    def lines(self) -> list[str]:
        """What a person wants to know, the dataset's path and the next command."""
        return [
            f"{self.task} ({self.request_type}): {self.rows_considered} attempts in the store, {self.rows} rows kept",
            *(f"  - {f.removed:6d} {f.name}: {f.reason}" for f in self.filters if f.removed),
            "splits by time: " + ", ".join(f"{name} {part.rows}" for name, part in self.splits.items()),
            f"answers must satisfy: {self.checks_source}",
            *self._drift(),
            self._pruning(),
            f"{'wrote' if self.written else 'already there:'} {self.path}",
            f"next: fasttier train --config configs/train/smollm2-135m.yaml --dataset {self.dataset}",
        ]

    def _pruning(self) -> str:
        billed = self.prompt_tokens_logged
        tokens = f"{billed} billed" if billed is not None else f"about {self.prompt_chars_original // 4}"
        return (
            f"prompt: {self.prompt_chars_original} -> {self.prompt_chars_pruned} characters"
            f" ({tokens} -> about {self.prompt_tokens_pruned} tokens), {self.templates} template(s)"
        )

    def _drift(self) -> list[str]:
        if not self.unseen_labels:
            return []
        shown = ", ".join(f"{label} ({n})" for label, n in list(self.unseen_labels.items())[:5])
        more = f" and {len(self.unseen_labels) - 5} more" if len(self.unseen_labels) > 5 else ""
        return [f"drift: {len(self.unseen_labels)} label(s) of the test split are new since train: {shown}{more}"]


def run(
    task: str,
    *,
    home: Home,
    config: ExtractConfig = _DEFAULTS,
    registry: Registry = _NO_ENTRIES,
    policy: Policy | None = None,
) -> ExtractSummary:
    """The task dataset of one call site; `policy` is that of `configs/router.yaml` unless another is given.

    Raises: NotFound for an unknown call site, InputError if it is not Tier 1, NotEnoughData if too
    few rows are left for five splits.
    """
    entry = registry.get(task)
    with store.connect(home) as connection:
        scan = rows.scan(connection, task)
        candidates = rows.read(connection, task)
    ledger = filters.Ledger(scan.attempts)
    for sql in rows.SQL_FILTERS:
        ledger.add(sql.name, scan.removed[sql.name], sql.reason)
    if not candidates:
        most = max(scan.removed, key=lambda name: scan.removed[name])
        raise InputError(
            f"{task}: none of its {scan.attempts} attempts has an answer to train on ({most}: {scan.removed[most]})"
        )

    rules = load(CONFIGS / "router.yaml") if policy is None else policy
    types = tiers.by_rules(candidates, task, entry, config, rules)
    candidates = tiers.tier_1(candidates, task, config, ledger)
    request_type = request_type_of(candidates, entry, config, types)
    sample = [row.messages for row in rows.evenly(candidates, _TEMPLATE_SAMPLE)]
    templates = find_templates(sample, config.template_min_share, system=pruned_system(task, request_type))
    candidates = filters.with_template(candidates, templates, ledger)
    found = discover_checks(candidates, templates, request_type, entry, config)
    candidates = filters.with_good_answer(candidates, found.checks, ledger)
    candidates = filters.distinct(candidates, ledger)
    parts = splits.by_time(candidates, config, task)
    train = splits.capped(parts["train"], config)
    if config.max_train_rows is not None:
        reason = f"max_train_rows: {config.max_train_rows} ({config.cap})"
        ledger.add("train_cap", len(parts["train"]) - len(train), reason)
    parts["train"] = train

    kept = [row for part in parts.values() for row in part]
    used = {row.template for row in kept}
    prompts = CallSitePrompts(
        templates=tuple(template for template in templates if template.id in used),
        request_type=request_type,
        checks=found.checks,
        max_tokens=card.max_tokens(row.answer for row in kept),
    )
    dataset = card.describe(task, prompts, found.source, scan, ledger, parts, config)
    files = {split: write.parquet_bytes(part, dataset.cohort_keys, task) for split, part in parts.items()}
    dataset, folder, written = write.write(home, dataset, files)
    billed = [row.input_tokens for row in kept if row.input_tokens]
    return ExtractSummary(
        task=task,
        dataset=dataset.name,
        path=str(folder),
        written=written,
        request_type=request_type,
        rows_considered=dataset.rows_considered,
        rows=dataset.rows,
        filters=dataset.filters,
        splits=dataset.splits,
        label_sources=dataset.label_sources,
        labels=len(found.checks.labels),
        checks_source=found.source,
        unseen_labels=dataset.unseen_labels,
        templates=len(prompts.templates),
        max_tokens=prompts.max_tokens,
        prompt_chars_original=dataset.prompt_chars_original,
        prompt_chars_pruned=dataset.prompt_chars_pruned,
        prompt_tokens_logged=round(sum(billed) / len(billed)) if billed else None,
        prompt_tokens_pruned=-(-dataset.prompt_chars_pruned // 4),
    )
