"""LiteLLM's proxy as a peer to measure beside: in an environment of its own, in front of the same upstream.

`environment()` makes .venv-litellm from the complete pins in benchmarks/litellm.txt on first use; nothing of it
touches .venv. `start()` runs one worker in production mode.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PINS = Path(__file__).with_name("litellm.txt")
START_SECONDS = 120
WHAT = "one worker, production mode, one model, a master key; no database and so no request log, no fallbacks"
"""How the proxy runs here, for the reader of a figure."""


def version() -> str:
    """The pinned version."""
    found = re.search(r"^litellm==(\S+)", PINS.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def environment(folder: Path) -> Path:
    """The `litellm` command of an environment that holds the pins; made where it is missing or holds others.

    Raises: subprocess.CalledProcessError when pip fails; the next run begins anew.
    """
    stamp = folder / "pins-stamp"
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"making {folder} for LiteLLM {version()} (once, a minute or two)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "-r", PINS], check=True)
        stamp.write_text(wanted)
    return folder / "bin" / "litellm"


def start(command: Path, folder: Path, *, port: int, upstream_port: int, key: str) -> "subprocess.Popen[bytes]":
    """A proxy that is up and wants `key` of its clients; its log is in `folder`.

    Raises: RuntimeError with the end of its log when it dies or is not up in time.
    """
    target = {"model": "openai/gpt-4o-mini", "api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "k"}
    config = folder / "litellm.yaml"
    # JSON is YAML too.
    config.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": target}]}))
    settings = {
        # It does not start without one.
        "LITELLM_MASTER_KEY": key,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        # No calls to the network while it is measured.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    log = folder / "litellm.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [command, "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
            env=kept | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5):
                return process
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    process.kill()
    process.wait()
    raise RuntimeError("LiteLLM's proxy did not start:\n" + log.read_text(errors="replace")[-3000:])
