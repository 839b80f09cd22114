"""Requests as clients, browsers and health checks send them."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.fakes.reports import OK_CHAT
from tests.fakes.wire_bench import Bench, running_bench

pytestmark = pytest.mark.integration

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
MESSAGE = CHAT | {"max_tokens": 9}
PAGE = {"origin": "http://localhost:5173"}
PREFLIGHT = PAGE | {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}
CLAUDE = {"anthropic-version": "2023-06-01"}


class Sent(NamedTuple):
    name: str
    method: str
    path: str
    right: Callable[[httpx.Response], object]
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012  (nobody writes to it)


def answered(response: httpx.Response) -> bool:
    return response.status_code == 200 and response.json()["choices"][0]["message"]["content"] == "ok"


def message(response: httpx.Response) -> bool:
    return response.status_code == 200 and response.json()["content"][0]["text"] == "ok"


def refused(status: int, word: str = "") -> Callable[[httpx.Response], object]:
    return lambda r: r.status_code == status and word in r.json()["error"]["message"]


SENT = [
    Sent(
        "a page of this machine asks whether it may",
        "OPTIONS",
        "/v1/chat/completions",
        lambda r: (
            r.is_success
            and r.headers["access-control-allow-origin"] in ("*", PAGE["origin"])
            and "POST" in r.headers["access-control-allow-methods"]
            and "x-stainless-os" in r.headers["access-control-allow-headers"]
        ),
        headers=PREFLIGHT,
    ),
    Sent(
        "the same for messages",
        "OPTIONS",
        "/v1/messages",
        lambda r: r.is_success and "access-control-allow-origin" in r.headers,
        headers=PREFLIGHT,
    ),
    Sent(
        "such a page may read the answer",
        "POST",
        "/v1/chat/completions",
        lambda r: answered(r) and "access-control-allow-origin" in r.headers,
        CHAT,
        PAGE,
    ),
    Sent(
        "and the error",
        "POST",
        "/v1/chat/completions",
        lambda r: r.status_code == 400 and "access-control-allow-origin" in r.headers,
        {"model": "m"},
        PAGE,
    ),
    Sent(
        "and the list of models",
        "GET",
        "/v1/models",
        lambda r: r.is_success and "access-control-allow-origin" in r.headers,
        headers=PAGE,
    ),
    Sent(
        "a page of elsewhere may not",
        "OPTIONS",
        "/v1/chat/completions",
        lambda r: "access-control-allow-origin" not in r.headers,
        headers=PREFLIGHT | {"origin": "https://evil.example"},
    ),
    Sent(
        "a name that only begins so is elsewhere",
        "OPTIONS",
        "/v1/chat/completions",
        lambda r: "access-control-allow-origin" not in r.headers,
        headers=PREFLIGHT | {"origin": "http://localhost.evil.example"},
    ),
    Sent("is anybody there", "HEAD", "/", lambda r: r.status_code == 200),
    Sent("the same with GET", "GET", "/", lambda r: r.status_code == 200),
    Sent("the head of the list", "HEAD", "/v1/models", lambda r: r.status_code == 200 and not r.content),
    Sent("the head of a check", "HEAD", "/health", lambda r: r.status_code == 200),
    Sent("a page's picture", "GET", "/favicon.ico", lambda r: r.status_code == 404),
    Sent("a GET of a POST", "GET", "/v1/chat/completions", refused(405, "GET")),
    Sent("a PUT", "PUT", "/v1/chat/completions", refused(405), CHAT),
    Sent("the head of a POST", "HEAD", "/v1/chat/completions", lambda r: r.status_code == 405),
    Sent("a question that no page asks", "OPTIONS", "/v1/chat/completions", lambda r: r.status_code < 500),
    Sent("more behind the body", "POST", "/v1/chat/completions", refused(400), json.dumps(CHAT).encode() + b"{}"),
    Sent("a comma too many", "POST", "/v1/chat/completions", refused(400), json.dumps(CHAT)[:-1].encode() + b",}"),
    Sent("no messages", "POST", "/v1/chat/completions", refused(400), {"model": "m", "messages": []}),
    Sent("a form", "POST", "/v1/chat/completions", refused(415), b"a=b", {"content-type": "multipart/form-data"}),
    Sent(
        "events are taken although none were asked for",
        "POST",
        "/v1/chat/completions",
        answered,
        CHAT,
        {"accept": "text/event-stream"},
    ),
    Sent("a user that is a number", "POST", "/v1/chat/completions", answered, CHAT | {"user": 42}),
    Sent(
        "half a character",
        "POST",
        "/v1/messages",
        message,
        rb'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"\ud83d"}]}',
        CLAUDE,
    ),
    Sent("a slash behind", "POST", "/v1/chat/completions/", answered, CHAT),
    Sent("without a version", "POST", "/chat/completions", answered, CHAT),
    Sent("with two", "POST", "/v1/v1/chat/completions", answered, CHAT),
    Sent("of Azure", "POST", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", answered, CHAT),
    Sent(
        "of Azure without a model",
        "POST",
        "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        answered,
        {"messages": CHAT["messages"]},
    ),
    Sent("of Azure's newer API", "POST", "/openai/v1/chat/completions?api-version=preview", answered, CHAT),
    Sent(
        "responses of Azure",
        "POST",
        "/openai/responses?api-version=2025-04-01-preview",
        lambda r: r.json()["output"],
        {"model": "m", "input": "hello"},
    ),
    Sent("of OpenRouter", "POST", "/api/v1/chat/completions", answered, CHAT),
    Sent("of Groq", "POST", "/openai/v1/chat/completions", answered, CHAT),
    Sent("of Gemini", "POST", "/v1beta/openai/chat/completions", answered, CHAT),
    Sent("of DeepSeek's messages", "POST", "/anthropic/v1/messages", message, MESSAGE, CLAUDE),
    Sent("of Claude Code", "POST", "/v1/messages?beta=true", message, MESSAGE, CLAUDE),
    Sent(
        "the count of Claude Code",
        "POST",
        "/v1/messages/count_tokens?beta=true",
        lambda r: r.status_code == 200 and r.json()["input_tokens"] > 0,
        CHAT
        | {
            "system": [{"type": "text", "text": "x"}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "messages": [
                CHAT["messages"][0],
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": {}}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "r"}]}
                    ],
                },
            ],
        },
        CLAUDE,
    ),
    Sent(
        "the count of nothing",
        "POST",
        "/v1/messages/count_tokens",
        lambda r: r.status_code == 400,
        {"model": "m"},
        CLAUDE,
    ),
    Sent(
        "the list of Claude Desktop", "GET", "/v1/models?limit=1000", lambda r: "has_more" in r.json(), headers=CLAUDE
    ),
    Sent("a model that nobody has", "GET", "/v1/models/nobody", refused(404, "nobody")),
    Sent(
        "a response that is not kept",
        "GET",
        "/v1/responses/resp_1",
        lambda r: r.status_code == 404 and r.json()["error"],
    ),
    Sent("a byte order mark", "POST", "/v1/chat/completions", answered, b"\xef\xbb\xbf" + json.dumps(CHAT).encode()),
    Sent(
        "a type with a character set",
        "POST",
        "/v1/chat/completions",
        answered,
        json.dumps(CHAT).encode(),
        {"content-type": "application/json; charset=UTF-8"},
    ),
    Sent(
        "a type in capitals",
        "POST",
        "/v1/chat/completions",
        answered,
        json.dumps(CHAT).encode(),
        {"content-type": "Application/JSON"},
    ),
    Sent(
        "in another character set",
        "POST",
        "/v1/chat/completions",
        refused(400),
        json.dumps(CHAT).encode("utf-16"),
        {"content-type": "application/json; charset=utf-16"},
    ),
    Sent("an empty body", "POST", "/v1/chat/completions", refused(400), b""),
    Sent("a list", "POST", "/v1/chat/completions", refused(400), []),
    Sent("a path with an escape", "POST", "/v1/chat%2Fcompletions", answered, CHAT),
    Sent("a path of two slashes", "POST", "/v1//chat/completions", answered, CHAT),
    Sent("a path that nobody serves", "POST", "/v1/threads", refused(404, "/v1/threads"), CHAT),
    Sent(
        "a model's name with a slash", "POST", "/v1/chat/completions", answered, CHAT | {"model": "openai/gpt-4o-mini"}
    ),
    Sent(
        "chunks",
        "POST",
        "/v1/chat/completions",
        answered,
        iter([json.dumps(CHAT).encode()[:20], json.dumps(CHAT).encode()[20:]]),
    ),
    Sent("a body that waits for leave", "POST", "/v1/chat/completions", answered, CHAT, {"expect": "100-continue"}),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("home")) as running:
        running.gpt.play = OK_CHAT
        yield running


@pytest.mark.parametrize("sent", SENT, ids=[sent.name for sent in SENT])
def test_real_client_requests_are_answered(bench: Bench, sent: Sent) -> None:
    body = {"json": sent.body} if isinstance(sent.body, (dict, list)) else {"content": sent.body}
    headers = {"x-fasttier-call-site": "to.gpt", "content-type": "application/json"} | sent.headers
    if sent.method in ("OPTIONS", "HEAD", "GET"):
        headers = sent.headers
    response = httpx.request(sent.method, bench.router.url + sent.path, headers=headers, timeout=10, **body)
    assert sent.right(response), (response.status_code, response.headers, response.text[:500])
