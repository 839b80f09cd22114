"""Runs the workers of an ingest on a Ray cluster: same function, same blocks as local processes.

    fasttier ingest LOG... --ray auto|ADDRESS

The home folder and the logs must be on storage that every node mounts at the same path. A task whose node dies is
retried and writes the same files.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from traffic.errors import InputError

_ROOT = Path(__file__).resolve().parent.parent.parent
_RETRIES = 8


class RayExecutor(Executor):
    """Executor that runs Ray tasks. Raises: InputError if the cluster cannot be reached."""

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("--ray needs the package ray: pip install 'fasttier[cluster]'") from None
        self._ray: Any = ray
        try:
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env={"env_vars": {"PYTHONPATH": str(_ROOT)}},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"--ray {address}: {error}") from None
        self._run = self._ray.remote(max_retries=_RETRIES)(_call)
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = self._run.remote(fn, args, kwargs).future()
        return future

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def __enter__(self) -> Self:
        return self


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return fn(*args, **kwargs)
