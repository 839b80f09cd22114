"""Gateways to compare with: haproxy (Debian), vllm-router and LiteLLM's proxy (PyPI), with the same upstream.

The two from PyPI have separate environments next to .venv, created on first use from complete pins
(benchmarks/litellm.txt, benchmarks/vllm_router.txt). `start()` returns a ready process, or raises Unavailable.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.supervise import free_port

PINS = Path(__file__).resolve().parent
START_SECONDS = 120


class Unavailable(RuntimeError):
    """The gateway is not installed, cannot be installed, or does not start."""


@dataclass(frozen=True)
class Gateway:
    """One program to compare with."""

    name: str
    setting: str
    """Its configuration, as text for the report."""
    command: Callable[[Path, Path, int, int, str], list[str | Path]]
    """Builds the command from the repository's root, a folder, its port, the upstream's port and the clients' key."""
    ready: str
    """Path that answers when it is ready."""
    environ: Callable[[str], Mapping[str, str]] = lambda key: {}
    version: Callable[[], str] = lambda: ""

    def start(self, root: Path, folder: Path, *, port: int, upstream_port: int, key: str) -> "subprocess.Popen[Any]":
        """Raises: Unavailable."""
        command = self.command(root, folder, port, upstream_port, key)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        log = folder / f"{self.name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, env=kept | dict(self.environ(key)), stdout=out, stderr=subprocess.STDOUT, cwd=folder
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{self.ready}", timeout=5):
                    return process
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        process.kill()
        process.wait()
        raise Unavailable(f"{self.name} did not start:\n" + log.read_text(errors="replace")[-2000:])


# ------------------------------------------------------------------------------------------ haproxy


def _haproxy(root: Path, folder: Path, port: int, upstream_port: int, key: str) -> list[str | Path]:
    del root, key
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("haproxy is not installed: apt-get install haproxy")
    path = folder / "haproxy.cfg"
    path.write_text(
        "global\n  nbthread 1\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        "  option http-keep-alive\n  http-reuse always\n"
        f"frontend clients\n  bind 127.0.0.1:{port}\n  default_backend model\n"
        f"backend model\n  server upstream 127.0.0.1:{upstream_port}\n"
    )
    return [program, "-db", "-f", path]


def _haproxy_version() -> str:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    assert program is not None
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\S+?)-", output)
    return match[1] if match else ""


# -------------------------------------------------------------------------------------- vllm-router


def _vllm_router(root: Path, folder: Path, port: int, upstream_port: int, key: str) -> list[str | Path]:
    del folder
    program = environment(root / ".venv-vllm-router", PINS / "vllm_router.txt") / "vllm-router"
    options = ["--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{upstream_port}"]
    # Its metrics are always on, at a fixed port that another one may hold.
    options += ["--prometheus-port", str(free_port())]
    return [program, *options, "--policy", "round_robin", "--log-level", "error", "--api-key", key]


# ------------------------------------------------------------------------------------------ LiteLLM


def _litellm(root: Path, folder: Path, port: int, upstream_port: int, key: str) -> list[str | Path]:
    program = environment(root / ".venv-litellm", PINS / "litellm.txt") / "litellm"
    target = {"model": "openai/gpt-4o-mini", "api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "k"}
    path = folder / "litellm.yaml"
    # JSON is valid YAML.
    path.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": target}]}))
    return [program, "--config", path, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


def _litellm_environ(key: str) -> dict[str, str]:
    return {
        # Required at start.
        "LITELLM_MASTER_KEY": key,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        # No network calls during the measurement.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
    }


# ------------------------------------------------------------------------------------- environments


def pinned(package: str, pins: Path) -> str:
    """The pinned version of a package."""
    match = re.search(rf"^{package}==(\S+)", pins.read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


def environment(folder: Path, pins: Path) -> Path:
    """The `bin` folder of an environment with these pins; created if it is missing or has other pins.

    Raises: Unavailable if pip fails; the next run tries again.
    """
    stamp = folder / "pins-stamp"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"creating {folder} (once, a minute or two)", file=sys.stderr, flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, "--no-deps", "-r", str(pins)], check=True)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{pins.name} cannot be installed: exit status {error.returncode}") from None
        stamp.write_text(wanted)
    return folder / "bin"


HAPROXY = Gateway(
    "haproxy",
    "one thread, HTTP mode, connections kept and reused; no key, no log",
    _haproxy,
    "/health",
    version=_haproxy_version,
)
VLLM_ROUTER = Gateway(
    "vllm-router",
    "one worker, round robin, a client key; no request log",
    _vllm_router,
    "/health",
    version=lambda: pinned("vllm-router", PINS / "vllm_router.txt"),
)
LITELLM = Gateway(
    "LiteLLM",
    "one worker, production mode, one model, a master key; no database and so no request log, no fallbacks",
    _litellm,
    "/health/liveliness",
    environ=_litellm_environ,
    version=lambda: pinned("litellm", PINS / "litellm.txt"),
)
