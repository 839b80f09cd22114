"""Fit a classifier on a task dataset: one model per call site, published as one artifact.

    fasttier train --config configs/train/encoder.yaml --dataset support.intent

Reads data/datasets/<task>@<hash8>/; writes data/classifiers/<task>@<hash8>/ and an MLflow run.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline import dataset as datasets
from pipeline import tracking
from pipeline.classifiers import artifact, classical, finetune, pretrained
from pipeline.classifiers.config import ClassicalFit, EncoderFit, Fit
from pipeline.classifiers.examples import REQUEST_TYPES, Examples, SiteData
from pipeline.classifiers.pretrained import Pretrained
from pipeline.dataset import TaskDataset
from traffic import artifacts, classifiers
from traffic.artifacts import Home
from traffic.classifier_model import Encoder
from traffic.classifiers import Classifier, EncoderWeights
from traffic.errors import InputError, NotEnoughData
from traffic.processes import cores


class ClassifierSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of fitting a classifier."""

    classifier: str
    path: Path
    kind: str
    dataset: str
    metrics: dict[str, float]
    members: dict[str, tuple[str, ...]]
    """By call site: the heads that are averaged."""
    reused: bool
    """A classifier with the same configuration and dataset existed."""
    mlflow_run: str | None

    def lines(self) -> list[str]:
        """The result as text."""
        if self.reused:
            return [
                f"{self.classifier} exists already for this configuration and dataset",
                f"classifier  {self.path}",
                "next        fasttier evaluate",
            ]
        sites = [f"model       {site}: {' + '.join(members)}" for site, members in self.members.items()]
        return [
            f"trained     {self.kind} on {self.dataset} in {self.metrics['seconds']:,.0f} s",
            *sites,
            *(f"  {name:<30} {value:.4g}" for name, value in self.metrics.items() if name != "seconds"),
            f"classifier  {self.path}",
            f"mlflow      run {self.mlflow_run}",
            "next        fasttier evaluate",
        ]


def run(
    settings: Fit,
    dataset: Path,
    *,
    home: Home,
    resume: bool = True,
    announce: Callable[[str], None] = lambda line: None,
) -> ClassifierSummary:
    """Fit, calibrate and publish a classifier. An interrupted fine-tuning continues; a finished one is not repeated.

    Raises: NotEnoughData (a call site without two labels), InputError (not a task of closed labels), ModelUnavailable.
    """
    card = datasets.load(dataset)
    reason = unfit(card)
    if reason is not None:
        raise InputError(f"{card.name}: {reason}; train an adapter: --config configs/train/smollm2-135m.yaml")
    recipe: dict[str, Any] = msgspec.to_builtins(settings)
    done = artifact.existing(home, recipe["kind"], card.task, card.name, recipe) if resume else None
    if done is not None:
        artifacts.make_current(home, artifacts.CLASSIFIER, done)
        return _summary(done, reused=True)
    data = read(dataset, card)
    for site, examples in data.items():
        if shortage := (examples.train + examples.validation).shortage():
            raise NotEnoughData(f"{site}: {shortage}")
    base = pretrained.resolve(settings.encoder, home) if settings.encoder is not None else None
    tags = {"stage": "train", "task": card.task, "dataset": card.name, "kind": recipe["kind"]}
    with tracking.BackgroundRun(home, f"train {card.task} {recipe['kind']}", tags=tags) as tracked:
        tracked.log(lambda mlflow: mlflow.log_params(tracking.flatten(recipe) | {"dataset": card.name}))
        began = time.monotonic()
        if isinstance(settings, EncoderFit):
            assert base is not None
            fit_result = finetune.fit(settings, data, base, _work(card, recipe, home), resume=resume, announce=announce)
        else:
            fit_result = _classical(settings, data, base)
        metrics = dict(fit_result.metrics) | {"seconds": round(time.monotonic() - began, 2)}
        tracked.log(lambda mlflow: mlflow.log_metrics(metrics))
        path = artifact.publish(
            Classifier(
                name="",
                task=card.task,
                kind=recipe["kind"],
                dataset=card.name,
                call_sites=card.call_sites,
                models={},
                encoder=EncoderWeights(base.name, base.revision, base.licence)
                if base and fit_result.encoders
                else None,
                config=recipe,
                metrics=metrics,
                libraries={},
                licence=base.licence if base and fit_result.encoders else "",
                mlflow_run_id=tracked.run_id,
            ),
            fit_result.sites,
            data,
            fit_result.encoders,
            home,
        )
        tracked.log(lambda mlflow: mlflow.set_tag("adapter", path.name))
    fit_result.clean()
    return _summary(path, reused=False)


def unfit(card: TaskDataset) -> str | None:
    """Reason why a classifier cannot answer the task, or None."""
    other = {site.request_type for site in card.call_sites.values()}.difference(REQUEST_TYPES)
    return f"a classifier cannot answer {', '.join(sorted(other))} requests" if other else None


def read(dataset: Path, card: TaskDataset) -> dict[str, SiteData]:
    """The examples of each call site."""
    parts: dict[str, dict[str, Examples]] = {}
    for split in ("train", "validation", "calibration"):
        rows = datasets.read_split(dataset, split).to_pylist()
        parts[split] = {site: _examples(row for row in rows if row["call_site"] == site) for site in card.call_sites}
    return {
        site: SiteData(
            parts["train"][site], parts["validation"][site], parts["calibration"][site], card.call_sites[site].checks
        )
        for site in card.call_sites
    }


def _examples(rows: Any) -> Examples:
    weighted = [row for row in rows if row["weight"] > 0]
    return Examples(
        texts=[classifiers.text_of(row["prompt"]) for row in weighted],
        labels=[row["completion"][0]["content"].strip() for row in weighted],
        weights=[row["weight"] for row in weighted],
    )


def _classical(settings: ClassicalFit, data: Mapping[str, SiteData], base: Pretrained | None) -> finetune.FitResult:
    exported = pretrained.frozen(base) if base is not None else None
    encoder = Encoder(exported, max_tokens=settings.max_tokens, threads=cores()) if exported is not None else None
    sites = {
        site: classical.fit(examples, settings, folder=folder_of(site, data), encoder=encoder)
        for site, examples in data.items()
    }
    used = exported is not None and any(fitted.model.encoder for fitted in sites.values())
    encoders = {classical.ENCODER_FOLDER: exported} if used and exported is not None else {}
    return finetune.FitResult(sites, encoders, finetune.metrics_of(sites))


def folder_of(site: str, data: Mapping[str, SiteData]) -> str:
    """A call site's folder in the artifact. Names of call sites are untrusted text."""
    return f"{list(data).index(site)}-{artifacts.slug(site)}"


def _work(card: TaskDataset, recipe: Mapping[str, Any], home: Home) -> Path:
    return home.runs / f"train-{artifacts.name_of(card.task, dict(recipe), card.name)}"


def _summary(path: Path, *, reused: bool) -> ClassifierSummary:
    card = classifiers.load(path)
    return ClassifierSummary(
        classifier=card.name,
        path=path,
        kind=card.kind,
        dataset=card.dataset,
        metrics=card.metrics,
        members={site: model.members for site, model in card.models.items()},
        reused=reused,
        mlflow_run=card.mlflow_run_id,
    )
