"""The `openai` package of npm against the router, unchanged: one run of js/client.mjs, judged case by case.

The pinned packages are installed into the user's cache on first use; without node there is nothing to test.
"""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import openai_server as fake
from tests.fakes import programs
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import RunningRouter, endpoint, log_of, routing
from traffic.artifacts import Home

JS = Path(__file__).parent / "js"
KEYS = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "client-secret"}


def answer(body: dict[str, Any]) -> str | fake.Reply:
    text = body["messages"][-1]["content"]
    replies = {
        "call a tool": fake.calls(("find", '{"id": 12345678}')),
        "a place": fake.ok('{"city": "Graz", "days": 3}'),
        "break": fake.cut(2, "one two three four"),
        "hang": fake.held(threading.Event()),
        "status 429": fake.status(429, retry_after=60),
    }
    if text.startswith("status ") and text not in replies:
        return fake.status(int(text.split()[1]), message=f"upstream says {text}")
    return replies.get(text, "hello there")


@pytest.fixture(scope="module")
def packages() -> Path:
    """A folder with the script and its packages, named after the lock file: made once per machine."""
    _, npm = programs.require("node", "npm")
    name = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fasttier"
    folder = cache / f"npm-{name}"
    if not (folder / "node_modules" / ".package-lock.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(JS / file, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def found(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script prints, and the log under `log`."""
    home = Home(tmp_path_factory.mktemp("home"))
    script = shutil.copy(JS / "client.mjs", packages)
    with FakeOpenAI(answer=answer, api_key="hosted-secret") as hosted:
        settings = {"client_keys_env": "CLIENT_KEYS", "backoff_s": 0.001, "breaker": {"failures": 100}}
        config = routing([endpoint("standard", hosted.base_url)], serving=settings)
        with RunningRouter(config, home, environ=KEYS) as router:
            command = ["node", script, router.base_url, "client-secret"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"log": log_of(home)}


def test_plain_answers_come_with_usage_and_headers(found: dict[str, Any]) -> None:
    plain = found["plain"]
    assert (plain["text"], plain["usage"], plain["tier"]) == ("hello there", 2, "2")
    assert plain["id"] == found["log"][0].request_id


def test_streams_join_to_the_answer_and_end_with_reason_and_usage(found: dict[str, Any]) -> None:
    assert found["stream"] == {"text": "hello there", "reasons": ["stop"], "usage": 2}


@pytest.mark.parametrize("case", ["tools", "streamedTools"])
def test_tool_calls_arrive_whole(found: dict[str, Any], case: str) -> None:
    call = found[case]["call"]
    assert (call["name"], json.loads(call["arguments"])) == ("find", {"id": 12345678})
    assert found[case]["reason"] == "tool_calls"


def test_structured_answers_are_parsed_by_the_sdk(found: dict[str, Any]) -> None:
    assert found["schema"] == {"city": "Graz", "days": 3}


def test_several_choices_come_with_their_log_probabilities(found: dict[str, Any]) -> None:
    assert found["choices"] == [["hello there", 2], ["hello there", 2]]


def test_models_are_listed(found: dict[str, Any]) -> None:
    assert found["models"] == ["fasttier", "gpt-4o-mini"]


def test_an_interrupted_stream_throws_after_its_content(found: dict[str, Any]) -> None:
    assert found["brokenStream"] == {"seen": "one two", "error": True}


@pytest.mark.parametrize(
    "case, name, status, says",
    [
        ("badRequest", "BadRequestError", 400, "upstream says status 400"),
        ("unreadable", "BadRequestError", 400, "messages"),
        ("throttled", "RateLimitError", 429, "status 429"),
        ("down", "InternalServerError", 503, "endpoint standard: status 503"),
        ("key", "AuthenticationError", 401, "one of its own keys"),
        ("path", "NotFoundError", 404, "is not served here"),
    ],
)
def test_errors_are_the_sdks_own(found: dict[str, Any], case: str, name: str, status: int, says: str) -> None:
    assert found["errors"][case][:2] == [name, status]
    assert says in found["errors"][case][2]


def test_a_client_timeout_is_logged_by_the_router(found: dict[str, Any]) -> None:
    assert found["aborted"] in ("APIConnectionTimeoutError", "InternalServerError")
    assert found["log"][-1].error is not None
