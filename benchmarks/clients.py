"""Runs Codex and Claude Code from npm and LiteLLM's SDK, unmodified, against the router. Too large for the test suite.

    make check-clients             # installs them (650 MB under ~/.cache/fasttier, LiteLLM in .venv-litellm); needs npm

A router on a real port, with a fake chat completions endpoint and a fake Anthropic endpoint. Each client answers one
question and runs one tool call. Exit status 1 if one of them fails.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import gateways, harness
from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, events, named
from tests.fakes.wire_bench import LAST, START, STOP, Bench, delta, message, running_bench

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("@openai/codex@0.171.0", "@anthropic-ai/claude-code@2.1.197")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fasttier" / "npm-clients"
MARK = "the-tool-ran"
SECONDS = 90
COMMANDS = {
    "codex": ("exec_command", {"cmd": f"echo {MARK}"}),
    "claude": ("Bash", {"command": f"echo {MARK}"}),
    "litellm": ("run", {"command": "echo"}),
}
"""The tool call that the fake model makes for each client."""


def installed() -> Path:
    """Folder with the executables of the npm packages."""
    done = CACHE / "node_modules" / ".bin"
    wanted = CACHE / "packages.txt"
    if not wanted.is_file() or wanted.read_text() != "\n".join(PACKAGES):
        CACHE.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm") or sys.exit("npm is not installed (Debian: apt-get install npm)")
        # Claude Code's executable is installed by its own script.
        subprocess.run([npm, "install", "--no-audit", "--no-fund", *PACKAGES], cwd=CACHE, check=True)
        subprocess.run(["node", "install.cjs"], cwd=CACHE / "node_modules/@anthropic-ai/claude-code", check=True)
        wanted.write_text("\n".join(PACKAGES))
    return done


def codex(programs: Path, home: Path, router: str, endpoint: str) -> str:
    """Codex's answer."""
    (home / "codex").mkdir()
    (home / "codex" / "config.toml").write_text(
        f'model = "gpt-5"\nmodel_provider = "router"\n[model_providers.router]\nname = "router"\n'
        f'base_url = "{router}/v1"\nenv_key = "ROUTER_KEY"\nwire_api = "responses"\n'
        f'http_headers = {{ "x-fasttier-call-site" = "to.{endpoint}" }}\n'
    )
    command = [str(programs / "codex"), "exec", "--skip-git-repo-check", "--json", "say ok"]
    lines = run(command, home, {"CODEX_HOME": str(home / "codex"), "ROUTER_KEY": "k"}).splitlines()
    items = [json.loads(line).get("item", {}) for line in lines if line.startswith("{")]
    return "\n".join(item["text"] for item in items if item.get("type") == "agent_message")


def claude(programs: Path, home: Path, router: str, endpoint: str) -> str:
    """Claude Code's answer."""
    command = [str(programs / "claude"), "-p", "say ok", "--output-format", "json", "--allowedTools", "Bash"]
    variables = {
        "ANTHROPIC_BASE_URL": router,
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_CUSTOM_HEADERS": f"x-fasttier-call-site: to.{endpoint}",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    answer: str = json.loads(run(command, home, variables))["result"]
    return answer


def run(command: list[str], home: Path, variables: dict[str, str]) -> str:
    """Run a client and return its standard output. Raises: CalledProcessError, TimeoutExpired."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    (home / "work").mkdir()
    done = subprocess.run(
        command,
        cwd=home / "work",
        env=kept | {"HOME": str(home), "NO_COLOR": "1"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return done.stdout


_LITELLM = """
import json, litellm, sys
router, endpoint, mark, name = sys.argv[1:]
tool = {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
for model, base in (("openai/m", router + "/v1"), ("anthropic/m", router)):
    messages = [{"role": "user", "content": "say ok"}]
    while True:
        given = {"model": model, "api_base": base, "api_key": "k", "messages": messages, "tools": [tool]}
        headers = {"x-fasttier-call-site": "to." + endpoint}
        chunks = litellm.completion(**given, extra_headers=headers, max_tokens=50, stream=True)
        message = litellm.stream_chunk_builder(list(chunks)).choices[0].message
        if not message.tool_calls:
            break
        messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": mark}]
    print(message.content)
"""


def litellm(programs: Path, home: Path, router: str, endpoint: str) -> str:
    """Answer of LiteLLM's SDK, which must be the same for both protocols."""
    del programs
    python = str(gateways.environment(ROOT / ".venv-litellm", gateways.PINS / "litellm.txt") / "python")
    command = [python, "-c", _LITELLM, router, endpoint, MARK, COMMANDS["litellm"][0]]
    output = run(command, home, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}).split()
    return "ok" if output == ["ok", "ok"] else repr(output)


CLIENTS: dict[str, Callable[[Path, Path, str, str], str]] = {"codex": codex, "claude": claude, "litellm": litellm}


def answers(client: str, endpoint: str) -> Callable[[str, bytes], Play | None]:
    """A fake model: calls the client's tool, then answers with text when it gets the result."""

    def answer(head: str, body: bytes) -> Play:
        del head
        name, arguments = COMMANDS[client]
        called = MARK not in body.decode() and f'"{name}"' in body.decode()
        if endpoint == "gpt":
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
            chunks = (delta(call), delta({}, "tool_calls")) if called else (delta({"content": "ok"}), STOP)
            return raw.stream(events(START, *chunks, LAST, b"[DONE]"))
        block: dict[str, Any] = {"type": "text", "text": ""}
        more = {"type": "text_delta", "text": "ok"}
        if called:
            block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
            more = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        return raw.stream(
            named(
                {"type": "message_start", "message": message(content=[], stop_reason=None)},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {"type": "content_block_delta", "index": 0, "delta": more},
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "tool_use" if called else "end_turn"},
                    "usage": {"output_tokens": 2},
                },
                {"type": "message_stop"},
            )
        )

    return answer


def check(bench: Bench, programs: Path, client: str, endpoint: str) -> str:
    """`pass`, or `fail` with the reason."""
    upstream = bench.gpt if endpoint == "gpt" else bench.claude
    upstream.refuse = answers(client, endpoint)
    with tempfile.TemporaryDirectory() as folder:
        try:
            output = CLIENTS[client](programs, Path(folder), bench.router.url, endpoint)
        except subprocess.CalledProcessError as error:
            return f"fail: exit status {error.returncode}: {error.stdout[-400:]} {error.stderr[-400:]}"
        except subprocess.TimeoutExpired:
            return f"fail: no answer within {SECONDS} s"
    if "ok" not in output:
        return f"fail: it says {output[:200]!r}"
    # The mark occurs once in the command; a second occurrence is the tool's output.
    asking = json.dumps(COMMANDS[client][1]).count(MARK)
    ran = any(json.dumps(body).count(MARK) > asking for body in upstream.bodies)
    return "pass" if ran else "fail: the command was not run"


def main() -> None:
    options = harness.parser(__doc__).parse_args()
    programs = installed()
    verdicts: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, running_bench(Path(folder)) as bench:
        for client in CLIENTS:
            for endpoint in ("gpt", "claude"):
                verdicts[f"{client:7} {endpoint:7}"] = check(bench, programs, client, endpoint)
    harness.show(verdicts, options.json, (f"{name} {verdict}" for name, verdict in verdicts.items()))
    sys.exit(0 if set(verdicts.values()) == {"pass"} else 1)


if __name__ == "__main__":
    main()
