"""Starts a model server, waits until it is healthy, and stops it without leaving orphans.

    with supervise.start(command, log_path) as server:
        ask(server.base_url)

The server runs under traffic/process_guard.py, so it ends with this process in any case.
"""

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from serving.command import Command
from traffic import processes
from traffic.artifacts import Home, write_atomic
from traffic.errors import EndpointError, MissingSecret
from traffic.processes import Guarded

GRACE_SECONDS = 15.0
POLL_SECONDS = 0.2
API_KEY = "VLLM_API_KEY"
"""Environment variable of a server with its key."""
REQUEST_TIMEOUT_SECONDS = 5.0
WARM_UP_TIMEOUT_SECONDS = 300.0

Progress = Callable[[float, str], None]
"""Called while the server starts, with elapsed seconds and the last line of its log."""


class ServerState(msgspec.Struct, frozen=True):
    """State file of a running server: `data/runs/servers/<pid>.json`."""

    pid: int
    created: int
    """Start time of the process (unit depends on the system), because pids are reused."""
    base_url: str
    models: tuple[str, ...]
    log: str
    api_key_env: str | None = None
    """Environment variable with the key, also for the router."""


class Server:
    """A started server. Use it as a context manager, or call `stop`."""

    def __init__(self, command: Command, log_path: Path, program: Guarded, api_key: str | None):
        self.command = command
        self.log_path = log_path
        self.api_key = api_key
        self._program = program
        self._state: Path | None = None

    def __repr__(self) -> str:
        return f"Server({self.base_url}, pid={self.pid})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the server, not of the guard."""
        assert self._program.pid is not None
        return self._program.pid

    @property
    def base_url(self) -> str:
        """Ends in `/v1`."""
        return self.command.base_url

    @property
    def models(self) -> tuple[str, ...]:
        return self.command.models

    def alive(self) -> bool:
        """Whether the process runs; `healthy` also checks that it answers."""
        return self._program.poll() is None

    def healthy(self) -> bool:
        """Whether /health answers 200 (vLLM answers 503 when its engine has died)."""
        return answers(self.base_url)

    def wait_healthy(self, timeout_s: float = 600, on_progress: Progress | None = None) -> None:
        """Raises: EndpointError if the server ends, is not healthy in time, or serves other models."""
        began = time.monotonic()
        while not self.healthy():
            self._raise_if_dead()
            elapsed = time.monotonic() - began
            if elapsed > timeout_s:
                raise EndpointError(f"{self.base_url} is not healthy after {timeout_s:.0f} s{self._log_hint()}")
            if on_progress:
                on_progress(elapsed, last_line(self.log_path))
            self._program.wait(POLL_SECONDS)
        self._raise_if_dead()
        served = served_models(self.base_url, self.api_key)
        missing = [name for name in self.models if name not in served]
        if missing:
            raise EndpointError(f"{self.base_url} does not serve {', '.join(missing)}, only {', '.join(served)}")

    def warm_up(self) -> None:
        """Send one short request per model and one with a grammar, so that everything loaded at first use is loaded."""
        constrained = {"structured_outputs": {"choice": ["yes", "no"]}}
        for name, extra in [*((name, {}) for name in self.models), (self.models[-1], constrained)]:
            body = {
                "model": name,
                "messages": [{"role": "user", "content": "yes or no?"}],
                "max_tokens": 2,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": 2,
                **extra,
            }
            url = f"{self.base_url}/chat/completions"
            status, answer = request("POST", url, body, api_key=self.api_key, timeout_s=WARM_UP_TIMEOUT_SECONDS)
            if status != 200:
                raise EndpointError(
                    f"{self.base_url}: the first request to {name} was answered {status}: {answer[:300]!r}"
                )

    def wait(self) -> int:
        """Wait until the server exits. Returns its exit status (128 + n for signal n)."""
        status = self._program.wait()
        assert status is not None
        return status

    def stop(self) -> None:
        """Stop the server and its descendants. Safe to call twice."""
        self._program.stop()
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def write_state(self, folder: Path) -> None:
        """Write a state file to `folder`, which `stop` removes."""
        self._state = folder / f"{self.pid}.json"
        state = ServerState(
            self.pid,
            _created(self.pid) or 0,
            self.base_url,
            self.models,
            str(self.log_path.resolve()),
            self.command.secrets.get(API_KEY),
        )
        write_atomic(self._state, msgspec.json.encode(state))

    def _raise_if_dead(self) -> None:
        if not self.alive():
            raise EndpointError(f"the server ended with status {self._program.returncode}{self._log_hint()}")

    def _log_hint(self) -> str:
        cause = last_error(self.log_path)
        return f": {cause} (log: {self.log_path})" if cause else f" (log: {self.log_path})"


def start(
    command: Command,
    log_path: Path,
    timeout_s: float = 600,
    on_progress: Progress | None = None,
    *,
    home: Home | None = None,
    warm: bool = True,
) -> Server:
    """Start the server and return when it is healthy and warmed up. With `home`, a state file is written.

    Raises: EndpointError if it does not become healthy (it is stopped then), MissingSecret if its key is not set.
    """
    environment, api_key = _environment(command, os.environ)
    _refuse_taken_port(command)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        program = processes.guard(command.argv, output=log, env=environment, grace_s=GRACE_SECONDS)
    if program.pid is None:
        program.stop()
        raise EndpointError(f"cannot start {command.argv[0]}: {last_error(log_path)} (log: {log_path})")
    server = Server(command, log_path, program, api_key)
    try:
        if home is not None:
            server.write_state(servers_folder(home))
        server.wait_healthy(timeout_s, on_progress)
        if warm:
            if on_progress:
                on_progress(0.0, "first requests")
            server.warm_up()
    except BaseException:
        server.stop()
        raise
    return server


def free_port(host: str = "127.0.0.1") -> int:
    """A free TCP port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken_port(command: Command) -> None:
    # Otherwise the other server would answer /health until ours fails to bind, half a minute later.
    with socket.socket(socket.AF_INET6 if ":" in command.host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((command.host, command.port))
        except OSError as error:
            raise EndpointError(
                f"cannot listen on {command.host}:{command.port}: {error.strerror}; choose another port (0: a free one)"
            ) from None


def servers_folder(home: Home) -> Path:
    return home.runs / "servers"


def running(home: Home) -> list[ServerState]:
    """Running servers. State files of killed processes are removed."""
    states = []
    for path in sorted(servers_folder(home).glob("*.json")):
        state = msgspec.json.decode(path.read_bytes(), type=ServerState)
        if _created(state.pid) == state.created:
            states.append(state)
        else:
            path.unlink(missing_ok=True)
    return states


def answers(base_url: str) -> bool:
    """Whether a server's /health answers 200."""
    try:
        return request("GET", f"{root(base_url)}/health", timeout_s=REQUEST_TIMEOUT_SECONDS)[0] == 200
    except OSError:
        return False


def wants_key(base_url: str) -> bool:
    """Whether a server refuses requests without a key. Raises: EndpointError if it does not answer."""
    try:
        status, _ = request("GET", f"{base_url}/models", timeout_s=REQUEST_TIMEOUT_SECONDS)
    except OSError as error:
        raise EndpointError(f"{base_url} does not answer: {error}") from None
    return status in (401, 403)


def served_models(base_url: str, api_key: str | None = None) -> list[str]:
    """Names that an OpenAI-compatible server lists. Raises: EndpointError if it does not answer."""
    try:
        status, body = request("GET", f"{base_url}/models", api_key=api_key, timeout_s=REQUEST_TIMEOUT_SECONDS)
    except OSError as error:
        raise EndpointError(f"{base_url} does not answer: {error}") from None
    if status in (401, 403):
        raise EndpointError(f"{base_url} refuses the key ({status}); set the environment variable of its api_key_env")
    try:
        return [str(model["id"]) for model in msgspec.json.decode(body)["data"]]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise EndpointError(f"{base_url}/models answered {status} without a list of models: {body[:200]!r}") from None


def root(base_url: str) -> str:
    """The URL without `/v1`, for paths such as /health and /metrics."""
    return base_url.rstrip("/").removesuffix("/v1")


def request(
    method: str, url: str, body: Mapping[str, Any] | None = None, *, api_key: str | None = None, timeout_s: float
) -> tuple[int, bytes]:
    """Status and body of one HTTP request. Raises: OSError if there is no answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
    try:
        connection.request(method, parts.path, msgspec.json.encode(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(\(\w+ pid=\d+\) )?((INFO|WARNING|ERROR|DEBUG) [\d-]+ [\d:]+ (\[[^\]]*\] )?)?")
_ERROR = re.compile(r"\b\w*(Error|Exception)\b: .+|\berror: .+")
# vLLM repeats an engine's failure in its front end without the cause.
_REPEATED = ("Engine core initialization failed", "EngineCore encountered an issue")
_NOISE = ("nanobind", "leaked", "resource_tracker", "skipped remainder", "warnings.warn")
_TAIL_BYTES = 65536


def last_error(log_path: Path) -> str:
    """The last line of a log with an error, without vLLM's prefixes; else the last line; else empty."""
    lines = _tail(log_path)
    errors = [match.group(0) for line in lines if not _is_any(line, _REPEATED) and (match := _ERROR.search(line))]
    return errors[-1].strip() if errors else (lines[-1] if lines else "")


def last_line(log_path: Path) -> str:
    """The last meaningful line of a log, without vLLM's prefixes."""
    return next(iter(reversed(_tail(log_path))), "")


def _tail(log_path: Path) -> list[str]:
    try:
        with log_path.open("rb") as file:
            file.seek(max(0, log_path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines = (_PREFIX.sub("", _COLOUR.sub("", line)).strip() for line in text.splitlines())
    return [line for line in lines if line and not _is_any(line, _NOISE)]


def _is_any(line: str, parts: tuple[str, ...]) -> bool:
    return any(part in line for part in parts)


def _environment(command: Command, ours: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """The child's environment, and the key of its clients."""
    merged = {**ours, **command.env}
    if "PYTHONPATH" in command.env and ours.get("PYTHONPATH"):
        merged["PYTHONPATH"] = os.pathsep.join((command.env["PYTHONPATH"], ours["PYTHONPATH"]))
    for child_name, name in command.secrets.items():
        if not ours.get(name):
            raise MissingSecret(f"the environment variable {name} is not set; the server needs it as its API key")
        merged[child_name] = ours[name]
    return merged, merged.get(API_KEY)


def _created(pid: int) -> int | None:
    """Start time of a process: clock ticks since boot, or seconds since 1970 without /proc; None if it does not run."""
    if not Path("/proc/self/stat").exists():
        return _created_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 22; the name in field 2 may contain spaces and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])


def _created_by_ps(pid: int) -> int | None:
    """`_created` for macOS."""
    command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    state, _, started = listed.stdout.strip().partition(" ")
    if not started or state.startswith("Z"):
        return None
    return int(time.mktime(time.strptime(started.strip(), "%a %b %d %H:%M:%S %Y")))
