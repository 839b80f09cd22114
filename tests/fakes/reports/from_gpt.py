"""Answers of chat completions, for clients of every protocol."""

import re

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import events, plain
from tests.fakes.reports import ANNOTATED, CLIENT_SEARCH, FUNCTION, TOOL, URL_CITATION, Case, failing
from tests.fakes.wire_bench import LAST, OK, START, STOP, USAGE, WHOLE, calls_of, choice, completion, delta, part

OK_LOGPROB = {"token": "ok", "logprob": -0.1, "bytes": [111, 107], "top_logprobs": []}
GOOGLE_LIMIT = plain(
    [
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}],
            }
        }
    ],
    status=429,
)

FROM_GPT = [
    *[
        Case(
            f"finish reason {word} is {reason}",
            "messages",
            "gpt",
            lambda h, reason=reason: (h.json["stop_reason"], h.record.error) == (reason, None),
            play=plain(completion(choice({"content": "ok"}, finish_reason=word))),
        )
        for word, reason in (
            ("sensitive", "refusal"),
            ("SAFETY", "refusal"),
            ("MAX_TOKENS", "max_tokens"),
            ("model_length", "max_tokens"),
            ("eos", "end_turn"),
            ("STOP", "end_turn"),
        )
    ],
    Case(
        "annotations are citations",
        "messages",
        "gpt",
        lambda h: h.json["content"][0]["citations"][0]["url"] == "https://example.com/a",
        play=plain(completion(ANNOTATED)),
    ),
    Case(
        "annotations of a stream are citations",
        "messages",
        "gpt",
        lambda h: (
            [
                e["delta"]["citation"]["url"]
                for e in h.events
                if e["type"] == "content_block_delta" and e["delta"]["type"] == "citations_delta"
            ]
            == ["https://example.com/a"]
        ),
        {"stream": True},
        raw.stream(
            events(
                START,
                delta({"content": "So it is blue.."}),
                delta({"annotations": [URL_CITATION]}),
                STOP,
                LAST,
                b"[DONE]",
            )
        ),
    ),
    Case(
        "annotations are those of a response",
        "responses",
        "gpt",
        lambda h: h.json["output"][0]["content"][0]["annotations"][0]["url"] == "https://example.com/a",
        play=plain(completion(ANNOTATED)),
    ),
    Case(
        "reasoning and text are blocks of their own in one message",
        "messages",
        "gpt",
        lambda h: (
            [b["type"] for b in h.blocks] == ["thinking", "text"]
            and [e["type"] for e in h.events].count("message_start") == 1
        ),
        {"stream": True},
        raw.stream(
            events(
                START,
                delta({"reasoning_content": "hm"}),
                delta({"reasoning_content": "m"}),
                delta({"content": "ok"}),
                STOP,
                LAST,
                b"[DONE]",
            )
        ),
    ),
    Case(
        "an error in a whole answer has the status that it names",
        "chat",
        "gpt",
        lambda h: h.status == 429,
        play=failing({"message": "Provider returned error", "code": 429}),
    ),
    Case(
        "a refusal in a whole answer reaches the client",
        "chat",
        "gpt",
        lambda h: h.status == 400 and b"no such tool" in h.body,
        play=failing({"message": "no such tool", "type": "invalid_request_error", "code": 400}),
    ),
    Case(
        "beside an empty choice too",
        "messages",
        "gpt",
        lambda h: h.status == 429,
        play=plain(completion(choice({"content": None})) | {"error": {"message": "Provider error", "code": 429}}),
    ),
    Case(
        "so does one as a stream's first event",
        "chat",
        "gpt",
        lambda h: h.status == 400 and b"no such tool" in h.body,
        {"stream": True},
        raw.stream(events({"error": {"message": "no such tool", "type": "invalid_request", "code": 400}})),
    ),
    Case(
        "an empty balance in a whole answer is about our account",
        "chat",
        "gpt",
        lambda h: h.status == 502 and "account" in (h.record.error or ""),
        play=failing({"message": "Insufficient credits", "code": 402}),
    ),
    Case(
        "a response that fails on its way says so in its own word",
        "responses",
        "gpt",
        lambda h: (
            h.events[-1]["type"] == "response.failed"
            and h.events[-1]["response"]["id"] == h.events[0]["response"]["id"]
            and "gone" in h.events[-1]["response"]["error"]["message"]
        ),
        {"stream": True},
        raw.stream(events(START, delta({"content": "o"})), 0.05, events({"error": {"message": "gone"}})),
    ),
    Case(
        "a stream for a response has all its events",
        "responses",
        "gpt",
        lambda h: (
            [e["type"].removeprefix("response.") for e in h.events]
            == [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed",
            ]
            and h.events[-1]["response"]["output"][0]["content"][0]["text"] == "ok"
        ),
        {"stream": True},
        raw.stream(WHOLE),
    ),
    Case(
        "log-probabilities of a response",
        "responses",
        "gpt",
        lambda h: h.json["output"][0]["content"][0]["logprobs"] == [OK_LOGPROB],
        {"top_logprobs": 1, "include": ["message.output_text.logprobs"]},
        plain(completion(choice({"content": "ok"}, logprobs={"content": [OK_LOGPROB]}))),
    ),
    Case(
        "log-probabilities of a response's stream",
        "responses",
        "gpt",
        lambda h: (
            h.event("response.output_text.delta")["logprobs"] == [OK_LOGPROB]
            and h.event("response.output_text.done")["logprobs"] == [OK_LOGPROB]
        ),
        {"top_logprobs": 1, "include": ["message.output_text.logprobs"], "stream": True},
        raw.stream(events(START, delta({"content": "ok"}, logprobs={"content": [OK_LOGPROB]}), STOP, LAST, b"[DONE]")),
    ),
    Case(
        "a call of the client's tool search",
        "responses",
        "gpt",
        lambda h: (
            (item := h.event("response.output_item.done")["item"])["type"] == "tool_search_call"
            and (item["call_id"], item["execution"], item["arguments"]) == ("s", "client", {"query": "x"})
        ),
        {"tools": [CLIENT_SEARCH], "stream": True},
        calls_of(part('{"query":', index=0, id="s", name="tool_search"), part('"x"}', index=0)),
    ),
    Case(
        "a literal line break in arguments",
        "messages",
        "gpt",
        lambda h: h.json["content"][0]["input"] == {"a": "x\ny"},
        {"tools": [TOOL]},
        plain(
            completion(choice({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": "x\ny"}'}}]}))
        ),
    ),
    Case(
        "usage inside of a choice (Moonshot)",
        "chat",
        "gpt",
        lambda h: (h.record.usage.input_uncached, h.record.usage.cache_read, h.record.usage.output) == (6, 4, 2),
        {"stream": True},
        raw.stream(events(START, OK, delta({}, "stop", usage=USAGE | {"cached_tokens": 4}), b"[DONE]")),
    ),
    Case(
        "a finish reason that is a failure",
        "messages",
        "gpt",
        lambda h: h.events[-1]["type"] == "error" and h.record.error,
        {"stream": True},
        raw.stream(events(START, OK), 0.1, events(delta({}, "network_error"), b"[DONE]")),
    ),
    Case(
        "an overload in the middle of a stream",
        "messages",
        "gpt",
        lambda h: h.events[-1]["error"]["type"] == "overloaded_error",
        {"stream": True},
        raw.stream(events(START, OK), 0.1, events({"choices": [], "error": {"code": 503, "message": "full"}})),
    ),
    Case(
        "an event that is named by its field",
        "chat",
        "gpt",
        lambda h: (h.status, h.json["error"]["message"]) == (400, "no grammar"),
        {"stream": True},
        raw.stream(b'error: {"code": 400, "message": "no grammar", "type": "invalid_request_error"}\n\n'),
    ),
    Case(
        "a delay in the text of a 429",
        "chat",
        "gpt",
        lambda h: (h.status, h.headers["retry-after"]) == (429, "35"),
        refusing=lambda head, body: GOOGLE_LIMIT,
    ),
    Case(
        "Google's word for a request that was cancelled",
        "chat",
        "gpt",
        lambda h: h.status == 502,
        play=plain({"error": {"code": 499, "message": "gone", "status": "CANCELLED"}}, status=499),
    ),
    *[
        Case(
            f"Kimi's call ids in Anthropic's letters, stream {stream}",
            "messages",
            "gpt",
            lambda h: re.search(rb'"id":"[a-zA-Z0-9_-]+","name":"f"', h.body),
            {"tools": [TOOL], "stream": stream},
            calls_of(part("{}", index=0, id="functions.f:0", name="f")),
        )
        for stream in (False, True)
    ],
    Case(
        "a call of a response that was cut is incomplete",
        "responses",
        "gpt",
        lambda h: [item["status"] for item in h.json["output"]] == ["completed", "incomplete"],
        {"tools": [FUNCTION["function"] | {"type": "function"}]},
        plain(
            completion(
                choice(
                    {"content": "ok", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": "'}}]},
                    finish_reason="length",
                )
            )
        ),
    ),
]
