"""The home folder and the artifacts in it: where they are, how they are written, and which one is current.

    datasets/<task>@<hash8>/dataset.yaml          evaluations/<candidate>@<hash8>/scores.yaml
    adapters/<task>@<hash8>/adapter.yaml          calibrations/<call site>@<hash8>/calibration.yaml
    classifiers/<task>@<hash8>/classifier.yaml
    decisions/<task>@<date>-<hash8>.yaml

Which artifact is current follows from `created_at` and from the parents that its own file names (dataset, adapter,
candidate), never from file times or folder order: `cp -r` and `rsync` of a home change nothing.
"""

import contextlib
import datetime as dt
import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from traffic import config
from traffic.errors import InputError, NotFound

T = TypeVar("T")

_SLUG_LENGTH = 80
_CREATED = re.compile(rb"^created(?:_at)?: *'?([0-9][0-9T:.+Z -]*[0-9Z])'? *$", re.MULTILINE)
"""As `config.dump` writes it. `created` is the name that earlier versions gave it."""
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


class Kind(NamedTuple):
    """One kind of artifact."""

    noun: str
    folder: str
    file: str | None
    """Name of the YAML file in the artifact's folder, written last; None: the artifact is a single YAML file."""
    made_by: str


DATASET = Kind("dataset", "datasets", "dataset.yaml", "fasttier extract --task CALL_SITE")
ADAPTER = Kind("adapter", "adapters", "adapter.yaml", "fasttier train")
CLASSIFIER = Kind("classifier", "classifiers", "classifier.yaml", "fasttier train --config configs/train/encoder.yaml")
EVALUATION = Kind("evaluation", "evaluations", "scores.yaml", "fasttier evaluate")
CALIBRATION = Kind("calibration", "calibrations", "calibration.yaml", "fasttier calibrate")
DECISION = Kind("decision", "decisions", None, "fasttier decide")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of an artifact's YAML file that identify it, its parents and its age; other keys are ignored."""

    name: str | None = None
    task: str | None = None
    call_site: str | None = None
    candidate: str | None = None
    kind: str | None = None
    adapter: str | None = None
    dataset: str | None = None
    split: str | None = None
    created_at: dt.datetime | None = None
    created: dt.datetime | None = None
    """`created_at` in files of earlier versions."""
    source_last: str | None = None
    """For a dataset: time of its last record, ISO 8601."""
    decided: dt.date | None = None
    """For a decision: its day."""
    verdict: str = ""
    expires: Any = None


class Artifact(NamedTuple):
    """One artifact of a home."""

    path: Path
    """Its folder; for a decision, its file."""
    head: Head
    age: tuple[bool, dt.datetime, str]
    """Sort key, larger is newer. Artifacts without `created_at` (of earlier versions) are older than all others, and
    sorted by the dataset's last record (for an adapter: of its dataset) or the decision's day, then by name."""

    @property
    def name(self) -> str:
        """`<slug>@<hash8>`."""
        return self.path.name.removesuffix(".yaml")


class Home(msgspec.Struct, frozen=True):
    """Paths of one home folder (`--home`, `FASTTIER_HOME`, default `data/`). Nothing is created until it is written."""

    root: Path

    @property
    def records(self) -> Path:
        """Records store: `date=YYYY-MM-DD/*.parquet`, `_rejected/`, `_manifest/`."""
        return self.root / "records"

    @property
    def signals(self) -> Path:
        """Signals that arrive after the record, one folder per kind: `feedback/`, `consumed/`, `labels/`."""
        return self.root / "signals"

    @property
    def datasets(self) -> Path:
        return self.root / DATASET.folder

    @property
    def adapters(self) -> Path:
        return self.root / ADAPTER.folder

    @property
    def classifiers(self) -> Path:
        return self.root / CLASSIFIER.folder

    @property
    def evaluations(self) -> Path:
        return self.root / EVALUATION.folder

    @property
    def calibrations(self) -> Path:
        return self.root / CALIBRATION.folder

    @property
    def decisions(self) -> Path:
        return self.root / DECISION.folder

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
        """MLFLOW_TRACKING_URI if it is set, else a SQLite file in this home."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self.root / 'mlflow.db').resolve()}"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlartifacts"

    def dataset(self, name: str | None) -> Path:
        """Folder of a task dataset: a path, `task@hash`, a task (its current one), or None for the current of all."""
        return find(self, DATASET, name)

    def adapter(self, name: str | None) -> Path:
        """Folder of an adapter: a path, `task@hash`, a task (its current one), or None for the current of all."""
        return find(self, ADAPTER, name)

    def classifier(self, name: str | None) -> Path:
        """Folder of a classifier: a path, `task@hash`, a task (its current one), or None for the current of all."""
        return find(self, CLASSIFIER, name)


# ------------------------------------------------------------------------------------------- names


def slug(text: str) -> str:
    """Untrusted text as part of a file name: ASCII letters, digits, `.`, `_` and `-`; no path, not hidden, not empty.

    Not unique: a file name also needs a hash of the text, or of an object that contains it.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:_SLUG_LENGTH].rstrip("-.") or "unnamed"


def hash8(*parts: Any) -> str:
    """First 8 hex digits of a SHA-256 over the parts (JSON with sorted keys, or bytes as they are)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else msgspec.json.encode(part, order="sorted")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:8]


def name_of(text: str, *content: Any) -> str:
    """`<slug>@<hash8>` of an artifact of this task, call site or candidate; the hash covers text and content."""
    return f"{slug(text)}@{hash8(text, *content)}"


# ------------------------------------------------------------------------------------------ current


def listed(home: Home, kind: Kind, /, **fields: str | None) -> list[Artifact]:
    """Artifacts of a kind, the current one first, filtered by fields of `Head` (None: any value).

    Raises: ConfigError if an artifact's file is broken, because the current one cannot be determined then.
    """
    matching = []
    for file in _files(home, kind):
        path = file.parent if kind.file else file
        head = config.load(file, Head)
        if all(value in (None, getattr(head, field)) for field, value in fields.items()):
            matching.append(Artifact(path, head, _age(home, kind, path, head)))
    return sorted(matching, key=lambda artifact: artifact.age, reverse=True)


def current(home: Home, kind: Kind, /, **fields: str | None) -> Artifact | None:
    """The newest artifact with these fields of `Head`. Raises: ConfigError for a broken file."""
    return next(iter(listed(home, kind, **fields)), None)


def find(home: Home, kind: Kind, name: str | None) -> Path:
    """Folder of an artifact: a path, `<slug>@<hash8>`, a task (its current one), or None for the current one of all.

    Raises: NotFound, ConfigError.
    """
    assert kind.file is not None
    # A task's name may be invalid as a path, such as one that is too long.
    with contextlib.suppress(OSError):
        if name and (Path(name) / kind.file).is_file():
            return Path(name)
    artifacts = listed(home, kind)
    for artifact in artifacts:
        if name in (None, artifact.name, artifact.head.task, artifact.name.rpartition("@")[0]):
            return artifact.path
    folder = home.root / kind.folder
    missing = f"no {kind.noun} {name!r}" if name else f"no {kind.noun} yet"
    names = ", ".join(sorted(artifact.name for artifact in artifacts))
    raise NotFound(f"{missing} in {folder}{f'; there are: {names}' if names else ''}; make one with `{kind.made_by}`")


def _age(home: Home, kind: Kind, path: Path, head: Head) -> tuple[bool, dt.datetime, str]:
    stated = head.created_at or head.created
    if stated is not None:
        return True, _aware(stated), path.name
    if kind is ADAPTER and head.dataset:
        parent = home.datasets / Path(head.dataset).name / "dataset.yaml"
        head = config.load(parent, Head) if parent.is_file() else head
    unstated = _time(head.source_last or "") or _EARLIEST
    return False, dt.datetime.combine(head.decided, dt.time(), dt.UTC) if head.decided else unstated, path.name


def _aware(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _time(text: str) -> dt.datetime | None:
    try:
        return _aware(dt.datetime.fromisoformat(text))
    except ValueError:
        return None


def _files(home: Home, kind: Kind) -> Iterator[Path]:
    """YAML files of all artifacts of a kind, in no order."""
    for file in (home.root / kind.folder).glob(f"*/{kind.file}" if kind.file else "*.yaml"):
        # Names with a leading dot are being written, or were left by a killed writer.
        if not (file.parent if kind.file else file).name.startswith("."):
            yield file


# ------------------------------------------------------------------------------------------ writing


def created_now(home: Home, kind: Kind) -> dt.datetime:
    """`created_at` for a new artifact: the current time, but later than all others of its kind.

    A home may be a copy from a machine whose clock was ahead.
    """
    newest = max((time for file in _files(home, kind) if (time := _created(file)) is not None), default=_EARLIEST)
    now = dt.datetime.now(dt.UTC)
    return now if newest < now else newest + dt.timedelta(microseconds=1)


def make_current(home: Home, kind: Kind, path: Path) -> None:
    """Update `created_at` of an artifact that a stage has produced again, so that it is the current one.

    Writes nothing if it is the newest of its kind already.
    """
    file = path / kind.file if kind.file else path
    created = _created(file)
    others = [time for other in _files(home, kind) if other != file and (time := _created(other)) is not None]
    if created is not None and created > max(others, default=_EARLIEST):
        return
    tree = config.read(file)
    tree.pop("created", None)
    tree["created_at"] = created_now(home, kind).isoformat()
    write_atomic(file, config.dump(tree))


def content_sha256(file: Path) -> str:
    """SHA-256 of an artifact's YAML file without `created_at`, which changes when a stage is repeated."""
    return hashlib.sha256(_CREATED.sub(b"", file.read_bytes())).hexdigest()


def _created(file: Path) -> dt.datetime | None:
    """`created_at`, read without parsing the rest of the file; None if missing (`listed` reports broken files)."""
    try:
        stated = _CREATED.search(file.read_bytes())
    except FileNotFoundError:
        return None
    return _time(stated[1].decode()) if stated else None


def read_lines(path: Path, row: type[T], missing: str) -> list[T]:
    """The rows of a JSON Lines file. Raises: NotFound, with what `missing` says of it; InputError with the line."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise NotFound(f"no {path}{missing}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(msgspec.json.decode(line, type=row))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return rows


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a temporary file, fsync it, and rename it to `path`; with concurrent writers the last one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode() if isinstance(data, str) else data
    # Shortened: `path.name` may already have the maximum length of a file name.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; the router and the dashboard may run as other users.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    fsync(path.parent)


@contextlib.contextmanager
def atomic_folder(target: Path, file: str) -> Iterator[Path]:
    """A temporary folder that is renamed to `target` when the block succeeds, and deleted when it raises.

    A `target` without `file` is incomplete (an interrupted copy) and is replaced. If `target` is complete (same content
    hash, written by another run), the new folder is dropped.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".writing-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        for folder, _, names in os.walk(temporary):
            for name in names:
                fsync(Path(folder, name))
            fsync(Path(folder))
        if (target / file).is_file():
            return
        if target.exists():
            _remove_incomplete(target, file)
        try:
            temporary.rename(target)
        except OSError:
            # A concurrent writer was faster.
            if not (target / file).is_file():
                raise
        fsync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_incomplete(target: Path, file: str) -> None:
    removed = Path(tempfile.mkdtemp(dir=target.parent, prefix=".incomplete-"))
    with contextlib.suppress(FileNotFoundError):
        target.rename(removed / target.name)
    if (removed / target.name / file).is_file():
        # A concurrent writer completed it in between.
        (removed / target.name).rename(target)
    shutil.rmtree(removed, ignore_errors=True)


def fsync(path: Path) -> None:
    """Write a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
