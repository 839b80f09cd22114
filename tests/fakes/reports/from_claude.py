"""Answers of Anthropic's, for clients of chat completions and responses."""

from tests.fakes.raw_upstream import Play, named, plain
from tests.fakes.reports import (
    CITED,
    PAGE,
    RESULT,
    SEARCH,
    URL_CITATION,
    USER,
    Body,
    Case,
    asked,
    blocks,
    deltas,
    first,
)
from tests.fakes.wire_bench import message

BEGUN: tuple[Body, ...] = (
    {"type": "message_start", "message": message()},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "o"}},
)

FROM_CLAUDE = [
    Case(
        "redacted thinking comes back",
        "chat",
        "claude",
        lambda h: first(h)["thinking_blocks"] == [{"type": "redacted_thinking", "data": "abc"}],
        play=plain(message({"type": "redacted_thinking", "data": "abc"}, {"type": "text", "text": "ok"})),
    ),
    Case(
        "redacted thinking comes back in a stream",
        "chat",
        "claude",
        lambda h: [{"type": "redacted_thinking", "data": "abc"}] in [d.get("thinking_blocks") for d in deltas(h)],
        {"stream": True},
        blocks({"type": "redacted_thinking", "data": "abc"}, {"type": "text", "text": "ok"}),
    ),
    Case(
        "redacted thinking is sent again",
        "chat",
        "claude",
        lambda h: asked(h)["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "abc"},
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": "ok",
                    "thinking_blocks": [{"type": "redacted_thinking", "data": "abc"}],
                },
                USER,
            ]
        },
    ),
    Case(
        "a paused turn is not whole, in a word that clients know",
        "chat",
        "claude",
        lambda h: (
            (h.json["choices"][0]["finish_reason"], h.json["choices"][0]["native_finish_reason"])
            == ("length", "pause_turn")
        ),
        play=plain(message({"type": "text", "text": "ok"}, stop_reason="pause_turn")),
    ),
    Case(
        "a paused turn of a stream",
        "chat",
        "claude",
        lambda h: [c["finish_reason"] for e in h.events for c in e["choices"]][-1] == "length",
        {"stream": True},
        blocks({"type": "text", "text": "ok"}, stop="pause_turn"),
    ),
    Case(
        "a new stop reason costs no answer",
        "chat",
        "claude",
        lambda h: (h.status, first(h)["content"]) == (200, "ok"),
        play=plain(message({"type": "text", "text": "ok"}, stop_reason="brand_new")),
    ),
    Case(
        "citations of the web are annotations",
        "chat",
        "claude",
        lambda h: (first(h)["content"], first(h)["annotations"]) == ("So it is blue..", [URL_CITATION]),
        play=plain(message(*CITED)),
    ),
    Case(
        "citations of a stream are annotations",
        "chat",
        "claude",
        lambda h: [d["annotations"] for d in deltas(h) if "annotations" in d] == [[URL_CITATION]],
        {"stream": True},
        blocks(*CITED),
    ),
    Case(
        "citations of documents are kept as they came",
        "chat",
        "claude",
        lambda h: first(h)["provider_specific_fields"]["citations"] == [PAGE] and "annotations" not in first(h),
        play=plain(message({"type": "text", "text": "x", "citations": [PAGE]})),
    ),
    Case(
        "what a server tool did is kept",
        "chat",
        "claude",
        lambda h: first(h)["provider_specific_fields"]["server_tool_blocks"] == [SEARCH, RESULT],
        play=plain(message(SEARCH, RESULT, *CITED)),
    ),
    Case(
        "what a server tool did in a stream is kept",
        "chat",
        "claude",
        lambda h: (
            [b for d in deltas(h) for b in d.get("provider_specific_fields", {}).get("server_tool_blocks", ())]
            == [SEARCH, RESULT]
        ),
        {"stream": True},
        blocks(SEARCH, RESULT, *CITED),
    ),
    Case(
        "what a server tool did is sent again",
        "chat",
        "claude",
        lambda h: asked(h)["messages"][1]["content"][:2] == [SEARCH, RESULT],
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": "ok",
                    "provider_specific_fields": {"server_tool_blocks": [SEARCH, RESULT]},
                },
                USER,
            ]
        },
    ),
    Case(
        "citations are annotations of a response",
        "responses",
        "claude",
        lambda h: (
            h.json["output"][0]["content"][0]["annotations"]
            == [{"type": "url_citation", **URL_CITATION["url_citation"]}]
        ),
        play=plain(message(*CITED)),
    ),
    Case(
        "an empty answer is an answer",
        "chat",
        "claude",
        lambda h: (h.status, h.json["choices"][0]["finish_reason"], h.record.error) == (200, "stop", None),
        play=plain(message()),
    ),
    *[
        Case(
            f"a prompt that is too long, for {client}",
            client,
            "claude",
            lambda h: (h.status, h.json["error"]["code"]) == (400, "context_length_exceeded"),
            play=plain(
                {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}},
                status=400,
            ),
        )
        for client in ("chat", "responses")
    ],
    Case(
        "an overload in the middle of a stream keeps its type",
        "chat",
        "claude",
        lambda h: h.events[-1]["error"]["type"] == "overloaded_error",
        {"stream": True},
        Play((named(*BEGUN), 0.1, named({"type": "error", "error": {"type": "overloaded_error", "message": "full"}}))),
    ),
]
