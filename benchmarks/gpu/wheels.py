"""Wheels for a machine without a package index: collected on one that has an index.

    python -m benchmarks.gpu.wheels FOLDER [--python 3.12] [--have pyarrow,pandas] [--with bitsandbytes]

The machine is assumed to have PyTorch, transformers, accelerate and peft with their requirements, and the packages of
`--have`. The rest, in the pinned versions, must fit 64 MB. Standard library only, since it runs before installation.
"""

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "gpu-train.txt"
WANTED = ("trl", "datasets", "msgspec", "pyyaml", "pyarrow", "jinja2")
"""Packages that the check and the training process import, and that the machine may lack."""
PREINSTALLED = ("torch", "transformers", "accelerate", "peft")
MAX_BYTES = 64_000_000
PLATFORMS = tuple(f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 24, 17, 12, 5))


def requirements_of(name: str) -> list[str]:
    """Names of the required (not optional) packages of an installed one on Linux."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    plain = (line for line in lines if "extra ==" not in line and 'sys_platform == "win32"' not in line)
    return [normal(re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]) for line in plain]


def closure(names: Iterable[str]) -> set[str]:
    """The packages and all their requirements, recursively."""
    packages: set[str] = set()
    pending = [normal(name) for name in names]
    while pending:
        name = pending.pop()
        if name not in packages:
            packages.add(name)
            pending += requirements_of(name)
    return packages


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path = PINS) -> dict[str, str]:
    """Versions by package."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def missing(have: Iterable[str], more: Iterable[str]) -> list[str]:
    """Pinned requirements that the machine lacks."""
    names = closure([*WANTED, *more]) - closure([*PREINSTALLED, *have])
    versions = pins()
    return [f"{name}=={versions[name]}" for name in sorted(names) if name in versions]


def collect(folder: Path, wanted: Sequence[str], python: str) -> int:
    """Download the wheels into the folder, which is emptied. Returns their size in bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", *platforms, "--dest", str(folder), *wanted]
    subprocess.run(command, check=True)
    wheels = sorted(folder.glob("*.whl"), key=lambda wheel: wheel.stat().st_size, reverse=True)
    for wheel in wheels:
        if size_of(folder) > MAX_BYTES:
            compress(wheel)
    return size_of(folder)


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.whl"))


def compress(wheel: Path) -> None:
    """Rewrite the wheel with stronger compression, which pip supports; its files do not change."""
    smaller = wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(smaller, "w", zipfile.ZIP_LZMA) as target:
        for entry in source.infolist():
            again = zipfile.ZipInfo(entry.filename, entry.date_time)
            again.external_attr, again.compress_type = entry.external_attr, zipfile.ZIP_LZMA
            target.writestr(again, source.read(entry))
    smaller.replace(wheel)


def use(folder: Path, root: Path) -> None:
    """Unpack the wheels whose package is missing or older here, and restart this process with them.

    Uses a temporary folder; the environment is not changed.
    """
    if os.environ.get("CHECK_GPU_SITE"):
        return
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        sys.exit(f"check-gpu: {folder} holds no wheels; `make check-gpu-wheels` makes it")
    lacking = [wheel for wheel in wheels if _lacking(*wheel.name.split("-")[:2])]
    # The folder must have this name: `datasets` pickles code from other folders by value, which fails.
    site = Path(tempfile.mkdtemp(prefix="check-gpu-")) / "site-packages"
    if lacking:
        names = ", ".join(wheel.name.partition("-")[0] for wheel in lacking)
        print(f"check-gpu: using {names} from {folder}", flush=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        command += ["--no-cache-dir", "--disable-pip-version-check", "--target", str(site), *map(str, lacking)]
        subprocess.run(command, check=True)
    path = os.pathsep.join(filter(None, (str(site), str(root), os.environ.get("PYTHONPATH"))))
    site.mkdir(exist_ok=True)
    again = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:]]
    try:
        done = subprocess.run(again, env=os.environ | {"PYTHONPATH": path, "CHECK_GPU_SITE": str(site)}, check=False)
    finally:
        shutil.rmtree(site.parent, ignore_errors=True)
    sys.exit(done.returncode)


def _lacking(name: str, version: str) -> bool:
    try:
        return _numbers(importlib.metadata.version(name)) < _numbers(version)
    except importlib.metadata.PackageNotFoundError:
        return True


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version of the box's Python")
    parser.add_argument("--have", default="", help="additional packages of the machine, separated by commas")
    parser.add_argument("--with", dest="more", default="", help="packages to add, separated by commas")
    options = parser.parse_args(arguments)
    wanted = missing(filter(None, options.have.split(",")), filter(None, options.more.split(",")))
    size = collect(options.folder, wanted, options.python)
    print(f"check-gpu-wheels: {', '.join(wanted)}: {size / 1e6:.1f} MB in {options.folder}")
    if size > MAX_BYTES:
        print(
            f"check-gpu-wheels: more than {MAX_BYTES / 1e6:.0f} MB; name the machine's packages (`pip list`) with "
            "--have, especially pyarrow and pandas",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
