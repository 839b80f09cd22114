"""Compile the bytecode of the modules that fasttier imports. pip compiles all that it installs, uv compiles nothing.

    .venv/bin/python requirements/bytecode.py

Without bytecode the first start of a command compiles its imports. If PYTHONDONTWRITEBYTECODE is set, as in many
container images, every start does, and takes two to three times as long. Modules are compiled by importing them, since
only a fifth of the installed modules are ever used.
"""

import ast
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "demo", "pipeline", "router", "serving", "traffic")
PROGRAMS = (
    "accelerate.commands.launch",
    "mlflow.store.tracking.sqlalchemy_store",
    "vllm.entrypoints.openai.api_server",
)
"""Modules that are imported by other programs, or by libraries when they run."""
TIMEOUT_S = 300.0


def statements(root: Path, packages: Iterable[str]) -> list[str]:
    """Import statements of all modules of the packages and of the modules themselves, without duplicates."""
    imports: dict[str, None] = {}
    for path in (path for package in packages for path in sorted((root / package).rglob("*.py"))):
        if path.name == "__main__.py":
            continue  # importing it runs the program
        imports |= dict.fromkeys([f"import {_module(path.relative_to(root))}", *_imports(path)])
    return list(imports)


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield ast.unparse(node)


def execute(imports: Iterable[str]) -> None:
    """Run import statements so that Python writes the bytecode; failing ones are skipped."""
    sys.dont_write_bytecode = False
    for statement in imports:
        # Packages fail in many ways on machines without their hardware; the command that needs one reports it.
        with contextlib.suppress(Exception):
            exec(statement, {})  # noqa: S102 # the project's own statements


def _work(imports: list[str]) -> None:
    # Hide libraries' warnings about missing hardware.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, str(ROOT))
    execute(imports)


def main() -> None:
    imports = [*(f"import {name}" for name in PROGRAMS), *statements(ROOT, PACKAGES)]
    # One process starts from each end; modules compiled by the other import fast.
    orders = (imports, imports[::-1])
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(order,), daemon=True) for order in orders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_S)


if __name__ == "__main__":
    main()
