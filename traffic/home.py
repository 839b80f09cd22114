"""The folder that holds all state (`--home`, `FASTTIER_HOME`, default `data/`), and how to write into it.

Whatever another stage reads is written aside and renamed, so partial output never looks whole.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from traffic.errors import NotFound


class Home(msgspec.Struct, frozen=True):
    """Paths of one home folder. Nothing is created until something is written."""

    root: Path

    @property
    def records(self) -> Path:
        """Records store: `date=YYYY-MM-DD/*.parquet`, `_rejected/`, `_manifest/`."""
        return self.root / "records"

    @property
    def signals(self) -> Path:
        """What became known later, one folder per kind: `feedback/`, `consumed/`, `labels/`."""
        return self.root / "signals"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    @property
    def calibrations(self) -> Path:
        """One folder per calibration of a candidate at a call site: `<call site>@<hash8>/calibration.yaml`."""
        return self.root / "calibrations"

    @property
    def decisions(self) -> Path:
        return self.root / "decisions"

    @property
    def deployments(self) -> Path:
        return self.root / "deployments.yaml"

    @property
    def log(self) -> Path:
        """The router's request log."""
        return self.root / "log"

    @property
    def models(self) -> Path:
        """Base model weights that were converted or copied here."""
        return self.root / "models"

    @property
    def runs(self) -> Path:
        """Work in progress: training checkpoints, server logs, partial evaluations."""
        return self.root / "runs"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking store unless MLFLOW_TRACKING_URI names another."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self.root / 'mlflow.db').resolve()}"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlartifacts"

    def dataset(self, name: str | None) -> Path:
        """Folder of a task dataset: a path, `task@hash`, a task (its newest), or None for the newest of all."""
        return _find(self.datasets, name, "dataset", "dataset.yaml", "fasttier extract --task CALL_SITE")

    def adapter(self, name: str | None) -> Path:
        """Folder of an adapter: a path, `task@hash`, a task (its newest), or None for the newest of all."""
        return _find(self.adapters, name, "adapter", "adapter.yaml", "fasttier train")


def _find(folder: Path, name: str | None, kind: str, marker: str, how: str) -> Path:
    if name and (Path(name) / marker).is_file():
        return Path(name)
    found = sorted(folder.glob(f"*/{marker}"), key=lambda p: (p.stat().st_mtime_ns, p.parent.name))
    matching = [p.parent for p in found if name in (None, p.parent.name, p.parent.name.rpartition("@")[0])]
    if matching:
        return matching[-1]
    wanted = f"no {kind} {name!r}" if name else f"no {kind} yet"
    have = f"; there are: {', '.join(p.parent.name for p in found)}" if found else ""
    raise NotFound(f"{wanted} in {folder}{have}; make one with `{how}`")


def hash8(*parts: Any) -> str:
    """First 8 hex digits of a SHA-256 over the parts (JSON with sorted keys, or bytes as they are)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else msgspec.json.encode(part, order="sorted")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:8]


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file aside, fsync it, rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; other users of the machine (a router's, a dashboard's) read it too.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `target` when the block ends well and vanishes when it does not.

    If `target` exists by then (same content hash, made by another run) the new one is dropped.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if not target.exists():
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
