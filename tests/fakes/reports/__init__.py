"""What users of other proxies reported as broken: each case is an answer or a request that its author saw fail, written
anew, with what the right answer is. `tests/integration/test_router_reports.py` plays them.
"""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, named, plain
from tests.fakes.wire_bench import Heard, choice, completion, message

Body = dict[str, Any]
OK_CHAT = plain(completion(choice({"content": "ok"})))
OK_MESSAGE = plain(message({"type": "text", "text": "ok"}))
USER = {"role": "user", "content": "hello"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
RESPONSE_TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CLIENT_SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "d",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}
PNG, JPEG = (base64.b64encode(head + bytes(20)).decode() for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"))
FOUND = {
    "type": "web_search_result_location",
    "url": "https://example.com/a",
    "title": "A",
    "cited_text": "the sky is blue",
    "encrypted_index": "EI",
}
PAGE = {
    "type": "page_location",
    "cited_text": "x",
    "document_index": 0,
    "document_title": "T",
    "start_page_number": 1,
    "end_page_number": 2,
}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "sky"}}
RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "url": "https://example.com/a", "title": "A", "encrypted_content": "EC"}],
}
URL_CITATION = {
    "type": "url_citation",
    "url_citation": {"url": "https://example.com/a", "title": "A", "start_index": 3, "end_index": 15},
}


class Case(NamedTuple):
    """One request of a client's, what its endpoint answers, and what is right."""

    name: str
    client: str
    """`chat`, `messages` or `responses`."""
    endpoint: str
    """`gpt` or `claude`."""
    right: Callable[[Heard], object]
    body: Body = {}  # noqa: RUF012  (nobody writes to it)
    play: Play | None = None
    refusing: Callable[[str, bytes], Play | None] | None = None
    """What the endpoint answers instead to a request that it does not take."""


def first(heard: Heard) -> Any:
    """The first choice's message."""
    return heard.json["choices"][0]["message"]


def deltas(heard: Heard) -> list[Any]:
    return [choice["delta"] for event in heard.events for choice in event.get("choices") or ()]


def asked(heard: Heard) -> Any:
    """The body of the last request that the endpoint got."""
    return heard.asked[-1]


def user(*parts: Any) -> Body:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def picture(url: str, **more: Any) -> Body:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def blocks(*opened: Body, stop: str = "end_turn") -> Play:
    """A message's stream of whole blocks; a text's citations follow as deltas."""
    sent: list[Body] = [{"type": "message_start", "message": message(usage={"input_tokens": 10, "output_tokens": 1})}]
    for index, block in enumerate(opened):
        at = {"index": index}
        begin = block | ({"text": "", "citations": []} if block["type"] == "text" else {})
        begin |= {"input": {}} if block["type"] == "server_tool_use" else {}
        sent.append({"type": "content_block_start", **at, "content_block": begin})
        if block["type"] == "text":
            sent.append({"type": "content_block_delta", **at, "delta": {"type": "text_delta", "text": block["text"]}})
            for cited in block.get("citations", ()):
                more = {"type": "citations_delta", "citation": cited}
                sent.append({"type": "content_block_delta", **at, "delta": more})
        elif block["type"] == "server_tool_use":
            more = {"type": "input_json_delta", "partial_json": '{"query": "sky"}'}
            sent.append({"type": "content_block_delta", **at, "delta": more})
        sent.append({"type": "content_block_stop", **at})
    sent.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}})
    return raw.stream(named(*sent, {"type": "message_stop"}))


def failing(error: Body) -> Play:
    """An error in an answer whose status is 200."""
    return plain({"error": error})


CITED = ({"type": "text", "text": "So "}, {"type": "text", "text": "it is blue..", "citations": [FOUND]})
ANNOTATED = choice({"content": "So it is blue..", "annotations": [URL_CITATION]})
LONG_ID = "call_" + "x" * 60
THINKING_WANTED = plain(
    {
        "error": {
            "message": "The `reasoning_content` in the thinking mode must be passed back to the API.",
            "code": "400",
        }
    },
    status=400,
)
GROQ_UNKNOWN = plain(
    {
        "error": {
            "message": "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
            "'reasoning_content' is unsupported)]",
            "type": "invalid_request_error",
        }
    },
    status=400,
)
MISTRAL_UNKNOWN = plain(
    {
        "detail": [
            {
                "type": "extra_forbidden",
                "loc": ["body", "messages", 1, "assistant", "reasoning"],
                "msg": "Extra inputs are not permitted",
            }
        ]
    },
    status=422,
)
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
RETURNED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}]}


def roles(heard: Heard) -> list[str]:
    return [sent["role"] for sent in asked(heard)["messages"]]
