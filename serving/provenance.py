"""Provenance of a deployment: its training run, dataset, and the evidence of its decision.

Read from files only: adapter.yaml names dataset and training run, the decision names its evaluations with their MLflow
runs. Missing files are reported as missing.
"""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from traffic import config, own_models
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.deployments import Deployment
from traffic.errors import NotFound


class EvidenceFile(msgspec.Struct, frozen=True):
    """One evaluation behind a decision."""

    candidate: str
    evaluation: str
    mlflow_run_id: str | None = None


class References(msgspec.Struct, frozen=True):
    """Label sources behind a decision."""

    basis: str
    shares: dict[str, float]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a decision file about its evidence; other keys are ignored."""

    verdict: str
    expires: Any
    dataset: str | None = None
    items: int | None = None
    references: References | None = None
    evidence: tuple[EvidenceFile, ...] = ()
    mlflow_run_id: str | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Provenance of one deployment."""

    call_site: str
    adapter: str
    dataset: str | None = None
    """Training data of the adapter; None: its folder is missing."""
    base_model: str | None = None
    training_run: str | None = None
    """MLflow run; None: trained by an earlier version."""
    decision: str | None = None
    """File name; None: deployed by an override."""
    decided: Decided | None = None
    """None: without a decision, or its file is missing."""

    def lines(self, today: date) -> list[str]:
        """Lines for the terminal, indented below the deployment's line."""
        if self.dataset is None:
            return [f"  the folder of {self.adapter} is missing: its training data is unknown"]
        run = self.training_run or "not recorded"
        lines = [f"  trained on {self.dataset} from {self.base_model or 'n-grams'}, MLflow run {run}"]
        if self.decision is None:
            return [*lines, "  no evidence: deployed by an override"]
        if self.decided is None:
            return [*lines, f"  {self.decision} is missing: its evidence cannot be shown"]
        decided = self.decided
        lines.append(
            f"  {self.decision}: {decided.verdict}, {self._basis(decided)}, MLflow run {decided.mlflow_run_id or '-'}"
        )
        until = str(decided.expires)[:10]
        if until < today.isoformat():
            lines.append(f"  THE DECISION EXPIRED on {until}: prices and traffic moved; decide again")
        runs = ", ".join(f"{file.evaluation} (run {file.mlflow_run_id or '-'})" for file in decided.evidence)
        return [*lines, *([f"  evaluations: {runs}"] if runs else [])]

    def _basis(self, decided: Decided) -> str:
        items = f"{decided.items:,} items of {decided.dataset}" if decided.items is not None else f"{decided.dataset}"
        if decided.references is None:
            return items
        shares = ", ".join(f"{share:.0%} {source}" for source, share in decided.references.shares.items())
        measured = "accuracy" if decided.references.basis == "accuracy" else "agreement with the log, not accuracy"
        return f"{measured} on {items} (labels: {shares})"


def of(home: Home, entry: Deployment) -> Provenance:
    """Provenance of a deployment. Raises: ConfigError if a file is broken."""
    provenance = Provenance(call_site=entry.call_site, adapter=entry.adapter, decision=entry.decision)
    try:
        card = own_models.load(own_models.named(home, entry.adapter))
    except NotFound:
        return provenance
    path = home.decisions / Path(entry.decision).name if entry.decision else None
    return msgspec.structs.replace(
        provenance,
        dataset=card.dataset,
        base_model=card.base_model.name if isinstance(card, Adapter) else card.encoder.name if card.encoder else None,
        training_run=card.mlflow_run_id,
        decided=config.load(path, Decided) if path is not None and path.is_file() else None,
    )
