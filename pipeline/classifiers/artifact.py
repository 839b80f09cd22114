"""Publishes a classifier's folder: atomic, named by its content, never overwritten."""

import hashlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.classifiers.examples import SiteData
from pipeline.classifiers.fitted import FittedSite
from traffic import artifacts, classifiers, config
from traffic.artifacts import Home, atomic_folder, write_atomic
from traffic.classifier_model import Model
from traffic.classifiers import FILE, PARITY, Classifier, ParityItem

PARITY_TEXTS = 32
"""Number of texts in parity.jsonl for each call site."""
LIBRARIES = ("numpy", "scikit-learn", "onnxruntime", "tokenizers", "safetensors", "torch", "transformers")


def existing(home: Home, kind: str, task: str, dataset: str, settings: Mapping[str, Any]) -> Path | None:
    """Folder of the classifier with the same configuration and dataset, or None."""
    for artifact in artifacts.listed(home, artifacts.CLASSIFIER, task=task, kind=kind, dataset=dataset):
        if classifiers.load(artifact.path).config == dict(settings):
            return artifact.path
    return None


def publish(
    card: Classifier,
    sites: Mapping[str, FittedSite],
    data: Mapping[str, SiteData],
    encoders: Mapping[str, Path],
    home: Home,
) -> Path:
    """Write `data/classifiers/<task>@<hash8>/` and return the folder.

    `card`: name, models, libraries and time are filled in here. `encoders`: folder in the artifact -> files of an
    exported encoder.
    """
    home.classifiers.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=home.classifiers) as scratch:
        folder = Path(scratch)
        for name, source in encoders.items():
            shutil.copytree(source, folder / name, copy_function=shutil.copyfile)
        for fitted in sites.values():
            fitted.write(folder)
        card = msgspec.structs.replace(
            card,
            models={site: fitted.model for site, fitted in sites.items()},
            libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
            created_at=artifacts.created_now(home, artifacts.CLASSIFIER),
        )
        card = msgspec.structs.replace(card, name=_name(folder, card))
        target = home.classifiers / card.name
        if (target / FILE).is_file():
            artifacts.make_current(home, artifacts.CLASSIFIER, target)
            return target
        write_atomic(folder / FILE, config.dump(card))
        write_atomic(folder / PARITY, _parity(folder, data))
        for file in folder.rglob("*"):
            # safetensors files are readable by their owner alone; a server may run as another user.
            file.chmod(0o755 if file.is_dir() else 0o644)
        with atomic_folder(target, FILE) as final:
            for path in sorted(folder.iterdir()):
                shutil.move(path, final / path.name)
    return target


def _name(folder: Path, card: Classifier) -> str:
    """Hashes the files, labels, dataset and configuration, but not the library versions."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    names = [str(path.relative_to(folder)) for path in files]
    return artifacts.name_of(card.task, names, *digests, card.dataset, card.config, msgspec.to_builtins(card.models))


def _parity(folder: Path, data: Mapping[str, SiteData]) -> bytes:
    """Answers to some validation (else training) texts, for a serving machine to compare with its own."""
    model = Model(folder)
    lines = []
    for site, examples in data.items():
        texts = list((examples.validation if examples.validation.texts else examples.train).texts[:PARITY_TEXTS])
        classifier = model.site(site)
        log_probabilities, _ = classifier.log_probabilities(texts)
        for text, answer, row in zip(texts, classifier.answers(texts), log_probabilities, strict=True):
            item = ParityItem(site, text, answer.text, [round(value, 6) for value in row.tolist()])
            lines.append(msgspec.json.encode(item) + b"\n")
    return b"".join(lines)
