"""Which run, on which data, with which evidence, is serving: what the files say of one deployment.

The adapter's card names its data and its training run, the decision the evaluations that it rests on, each with its
MLflow run. What is gone is said to be gone; nothing here asks MLflow.
"""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from traffic import adapters, config
from traffic.artifacts import Home
from traffic.deployments import Deployment
from traffic.errors import NotFound


class EvidenceFile(msgspec.Struct, frozen=True):
    """One evaluation that a decision rests on."""

    candidate: str
    evaluation: str
    mlflow_run_id: str | None = None


class References(msgspec.Struct, frozen=True):
    """How far a decision rests on people's labels."""

    basis: str
    shares: dict[str, float]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """The slice of a decision file that says what it rests on; its other keys are ignored."""

    verdict: str
    expires: Any
    dataset: str | None = None
    items: int | None = None
    references: References | None = None
    evidence: tuple[EvidenceFile, ...] = ()
    mlflow_run_id: str | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Of one deployment."""

    call_site: str
    adapter: str
    dataset: str | None = None
    """What the adapter was trained on; None: its folder is gone."""
    base_model: str | None = None
    training_run: str | None = None
    """In MLflow; None: it was trained by an earlier version."""
    decision: str | None = None
    """File; None: deployed by an override."""
    decided: Decided | None = None
    """None: there is no decision, or its file is gone."""

    def lines(self, today: date) -> list[str]:
        """Indented, to stand below the deployment's own line."""
        if self.dataset is None:
            return [f"  the folder of {self.adapter} is gone: nothing says what it was trained on"]
        told = [f"  trained on {self.dataset} from {self.base_model}, MLflow run {self.training_run or 'not recorded'}"]
        if self.decision is None:
            return [*told, "  no evidence: deployed by an override"]
        if self.decided is None:
            return [*told, f"  {self.decision} is gone: its evidence cannot be shown"]
        found = self.decided
        told.append(
            f"  {self.decision}: {found.verdict}, {self._basis(found)}, MLflow run {found.mlflow_run_id or '-'}"
        )
        until = str(found.expires)[:10]
        if until < today.isoformat():
            told.append(f"  THE DECISION EXPIRED on {until}: prices and traffic moved; decide again")
        runs = ", ".join(f"{each.evaluation} (run {each.mlflow_run_id or '-'})" for each in found.evidence)
        return [*told, *([f"  evaluations: {runs}"] if runs else [])]

    def _basis(self, found: Decided) -> str:
        items = f"{found.items:,} items of {found.dataset}" if found.items is not None else f"{found.dataset}"
        if found.references is None:
            return items
        shares = ", ".join(f"{share:.0%} {source}" for source, share in found.references.shares.items())
        measured = "accuracy" if found.references.basis == "accuracy" else "agreement with the log, not accuracy"
        return f"{measured} on {items} (labels: {shares})"


def of(home: Home, entry: Deployment) -> Provenance:
    """Raises: ConfigError if a file is there and broken."""
    found = Provenance(call_site=entry.call_site, adapter=entry.adapter, decision=entry.decision)
    try:
        card = adapters.load(home.adapters / entry.adapter)
    except NotFound:
        return found
    path = home.decisions / Path(entry.decision).name if entry.decision else None
    return msgspec.structs.replace(
        found,
        dataset=card.dataset,
        base_model=card.base_model.name,
        training_run=card.mlflow_run_id,
        decided=config.load(path, Decided) if path is not None and path.is_file() else None,
    )
