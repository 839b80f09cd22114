"""Answers of chat completions, for clients of every protocol."""

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import events, plain
from tests.fakes.reports import ANNOTATED, URL_CITATION, Case, failing
from tests.fakes.wire_bench import LAST, START, STOP, WHOLE, choice, completion, delta

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
]
