"""Compile the bytecode of what fasttier imports, once. pip does so for all that it installs, uv does not.

    .venv/bin/python requirements/bytecode.py

Without it the first start of a command compiles what it imports; where PYTHONDONTWRITEBYTECODE is set, as in many
container images, every start does, and takes two to three times as long.
Importing is what compiles: a fifth of the installed modules are ever used.
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
    """Imports of every module of the packages and of all that these name, within functions too; each once."""
    found: dict[str, None] = {}
    for path in (path for package in packages for path in sorted((root / package).rglob("*.py"))):
        if path.name == "__main__.py":
            continue  # importing it runs the program
        found |= dict.fromkeys([f"import {_module(path.relative_to(root))}", *_imports(path)])
    return list(found)


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield ast.unparse(node)


def execute(imports: Iterable[str]) -> None:
    """Run import statements and let Python keep the bytecode; what this kind of environment lacks is left out."""
    sys.dont_write_bytecode = False
    for statement in imports:
        # Any exception: packages refuse machines in their own ways. The command that needs one reports it.
        with contextlib.suppress(Exception):
            exec(statement, {})  # noqa: S102 # the project's own statements


def _work(imports: list[str]) -> None:
    # Libraries warn about what this machine lacks.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, str(ROOT))
    execute(imports)


def main() -> None:
    imports = [*(f"import {name}" for name in PROGRAMS), *statements(ROOT, PACKAGES)]
    # From both ends: what one process has compiled costs the other little.
    orders = (imports, imports[::-1])
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(order,), daemon=True) for order in orders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_S)


if __name__ == "__main__":
    main()
