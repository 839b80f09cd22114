"""Result of `fasttier extract`, for the terminal and as JSON."""

import shlex

import msgspec

from pipeline.dataset import Drift, Filter, Groups, Leakage, PersonalData, Prompts, Rights, Split
from pipeline.extract import privacy, prompt_history
from traffic import number_format


class ExtractSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier extract`."""

    task: str
    dataset: str
    """`<task>@<hash8>`."""
    path: str
    written: bool
    """False: the same dataset existed already."""
    request_type: str
    """Separated by commas for several call sites."""
    rows_considered: int
    rows: int
    filters: tuple[Filter, ...]
    splits: dict[str, Split]
    label_sources: dict[str, int]
    labels: int
    """Size of the label set; 0 without one."""
    checks_source: str
    label_variants: int = 0
    """Answers with another spelling of a label, replaced by the label."""
    emptied_labels: dict[str, str] = {}
    """Labels without any row left, with the filters that removed them."""
    unseen_labels: dict[str, int]
    """Labels of the test split that are not in the train split, with their test rows."""
    templates: int
    max_tokens: int
    prompt_chars_original: int
    prompt_chars_pruned: int
    prompt_tokens_logged: int | None
    """Mean billed input tokens; None if the log has no usage."""
    prompt_tokens_pruned: int
    """Estimated at 4 characters per token, without the chat template."""
    suspects: dict[str, dict[str, int]] = {}
    """Rows of suspects.csv, by split and by reason."""
    call_sites: dict[str, int] = {}
    """Rows kept by call site."""
    rights: Rights = Rights()
    prompts: Prompts = Prompts()
    skipped_call_sites: dict[str, str] = {}
    """Call sites of the log that are not in the task, with the reason."""
    groups: Groups = Groups()
    leakage: dict[str, Leakage] = {}
    drift: Drift = Drift()
    personal_data: PersonalData | None = None

    def lines(self) -> list[str]:
        """Summary for the terminal, with the dataset's path and the next command."""
        return [
            f"{self.task} ({self.request_type}): {self.rows_considered} attempts in the store, {self.rows} rows kept",
            *self._sites(),
            *(f"  - {f.removed:6d} {f.name}: {f.reason}" for f in self.filters if f.removed),
            "splits by time: " + ", ".join(f"{name} {part.rows}" for name, part in self.splits.items()),
            f"answers must satisfy: {self.checks_source}",
            *self._labels(),
            *self._leakage(),
            *self._drift(),
            *self._suspects(),
            self._pruning(),
            *prompt_history.lines(self.prompts),
            *self._rights(),
            *([] if self.personal_data is None else privacy.in_words(self.personal_data)),
            f"{'wrote' if self.written else 'already there:'} {self.path}",
            f"next: fasttier train --config configs/train/smollm2-135m.yaml --dataset {shlex.quote(self.dataset)}",
        ]

    def _sites(self) -> list[str]:
        if len(self.call_sites) < 2:
            return []
        lines = ["call sites: " + ", ".join(f"{name} {rows}" for name, rows in self.call_sites.items())]
        if self.skipped_call_sites:
            lines.append(f"left out: {len(self.skipped_call_sites)} call sites, with the reasons in dataset.yaml")
        return lines

    def _labels(self) -> list[str]:
        lines = []
        if self.label_variants:
            spelled = number_format.count(self.label_variants, "answer")
            lines.append(f"labels: {spelled} in another spelling (case, quotes, reasoning) counted as the label")
        lines += [f"labels: no row of {label!r} is left, removed by {by}" for label, by in self.emptied_labels.items()]
        return lines

    def _rights(self) -> list[str]:
        unknown = self.rights.not_listed
        confirmed = [
            f"rights: {self.rights.answers[terms.name]} answers under terms of {terms.name} that you confirmed"
            for terms in self.rights.confirmed
            if terms.name in self.rights.answers
        ]
        if not unknown:
            return confirmed
        named = "; ".join(list(unknown)[:3]) + ("; ..." if len(unknown) > 3 else "")
        return [
            *confirmed,
            f"rights: {sum(unknown.values())} answers of providers that are not in configs/rights.yaml ({named})",
        ]

    def _pruning(self) -> str:
        billed = self.prompt_tokens_logged
        tokens = f"{billed} billed" if billed is not None else f"about {self.prompt_chars_original // 4}"
        return (
            f"prompt: {self.prompt_chars_original} -> {self.prompt_chars_pruned} characters"
            f" ({tokens} -> about {self.prompt_tokens_pruned} tokens), {self.templates} template(s)"
        )

    def _suspects(self) -> list[str]:
        rows = sum(self.suspects.get("splits", {}).values())
        if not rows:
            return []
        reasons = ", ".join(f"{reason} {count}" for reason, count in list(self.suspects["reasons"].items())[:3])
        return [f"suspects: {rows} answers are probably wrong ({reasons}); see suspects.csv"]

    def _leakage(self) -> list[str]:
        test = self.leakage.get("test")
        if test is None:
            return []
        shared = f"{test.ngrams_in_train / test.ngrams:.0%}" if test.ngrams else "none"
        exact = sum(split.exact for split in self.leakage.values())
        near = sum(split.near for split in self.leakage.values())
        runs = f"{shared} of the longer test rows share 8 words in a row with train"
        return [f"leakage between splits: {exact} exact, {near} near; {runs}"]

    def _drift(self) -> list[str]:
        new = [f"{label.value} ({label.rows}, since {label.first_seen[:10]})" for label in self.drift.labels]
        new_labels = (
            [f"drift: {len(new)} label(s) first occur in the log's last days: {', '.join(new[:5])}"] if new else []
        )
        return new_labels + self._unseen()

    def _unseen(self) -> list[str]:
        if not self.unseen_labels:
            return []
        shown = ", ".join(f"{label} ({n})" for label, n in list(self.unseen_labels.items())[:5])
        more = f" and {len(self.unseen_labels) - 5} more" if len(self.unseen_labels) > 5 else ""
        return [f"drift: {len(self.unseen_labels)} label(s) of the test split are new since train: {shown}{more}"]
