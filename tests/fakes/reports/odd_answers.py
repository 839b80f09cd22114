"""Answers of chat completions that their servers write in ways of their own, for clients of every protocol."""

import json
from typing import Any

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, events, plain
from tests.fakes.reports import PNG, Case, first
from tests.fakes.wire_bench import LAST, OK, START, STOP, USAGE, Heard, calls_of, choice, completion, delta, part

PICTURE = {"type": "image_url", "index": 0, "image_url": {"url": f"data:image/png;base64,{PNG}"}}
NO_BALANCE = {"id": "x", "choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
DREW = choice({"content": None, "images": [PICTURE]})


def chunked(*chunks: Any, done: bool = True) -> Play:
    return raw.stream(events(*chunks, *([b"[DONE]"] if done else [])))


def blank_reasons() -> Play:
    """Every chunk has a finish reason; all but the last one's are empty."""
    call = delta({"tool_calls": [part("{}", index=0, id="c1", name="f")]}, "")
    return chunked(delta({"role": "assistant", "content": ""}, ""), call, delta({}, "tool_calls"), LAST)


def kinds(heard: Heard) -> list[str]:
    return [event["type"] for event in heard.events]


def stub() -> Play:
    """The last chunk has what is left of the old way to call functions."""
    end = delta({"function_call": {"name": "", "arguments": ""}}, "stop")
    return chunked(START, OK, end, LAST)


def text_of(heard: Heard) -> str:
    return "".join(block["text"] for block in heard.blocks if block["type"] == "text")


def messages(name: str, right: Any, play: Play) -> Case:
    return Case(name, "messages", "gpt", lambda h: h.status == 200 and right(h), {"stream": True}, play)


def whole(name: str, client: str, right: Any, play: Play) -> Case:
    return Case(name, client, "gpt", lambda h: h.status == 200 and h.record.error is None and right(h), {}, play)


ODD_ANSWERS = [
    messages(
        "finish reasons that are empty are none",
        lambda h: h.event("message_delta")["delta"]["stop_reason"] == "tool_use" and h.blocks[-1]["json"] == "{}",
        blank_reasons(),
    ),
    messages(
        "a stop string that matched, in SGLang's words",
        lambda h: h.event("message_delta")["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        chunked(START, OK, delta({}, "stop", matched_stop="END"), LAST),
    ),
    messages(
        "a stop token that matched, in SGLang's words",
        lambda h: h.event("message_delta")["delta"]["stop_reason"] == "end_turn",
        chunked(START, OK, delta({}, "stop", matched_stop=151645), LAST),
    ),
    messages(
        "reasoning in a field called thinking",
        lambda h: h.blocks[0].get("thinking") == "why",
        chunked(START, delta({"thinking": "why"}), OK, STOP, LAST),
    ),
    whole(
        "no usage is stated, but the client reads it",
        "responses",
        lambda h: h.json["usage"]["input_tokens"] > 0 and h.json["usage"]["output_tokens"] > 0,
        plain(completion(choice({"content": "ok"}), usage=None)),
    ),
    messages(
        "an empty object before the arguments is no part of them",
        lambda h: json.loads(h.blocks[-1]["json"]) == {"a": 1},
        calls_of(part("{}", index=0, id="c1", name="f"), part('{"a": 1}', index=0)),
    ),
    messages(
        "arguments that are sent once more as a whole",
        lambda h: json.loads(h.blocks[-1]["json"]) == {"a": 1},
        calls_of(part('{"a"', index=0, id="c1", name="f"), part(": 1}", index=0), part('{"a": 1}', index=0, id="c1")),
    ),
    messages(
        "two calls without arguments are two blocks",
        lambda h: [b["json"] for b in h.blocks] == ["{}", "{}"],
        calls_of(part("{}", index=0, id="c1", name="f"), part("{}", index=1, id="c2", name="f")),
    ),
    messages("the stub of a function call is none", lambda h: [b["type"] for b in h.blocks] == ["text"], stub()),
    messages(
        "usage on every chunk costs no arguments",
        lambda h: json.loads(h.blocks[-1]["json"]) == {"a": "bc"},
        chunked(
            START | {"usage": USAGE},
            delta({"tool_calls": [part("", index=0, id="c1", name="f")]}) | {"usage": USAGE},
            delta({"tool_calls": [part('{"a": "b', index=0)]}) | {"usage": USAGE},
            delta({"tool_calls": [part('c"}', index=0)]}, "tool_calls") | {"usage": USAGE},
        ),
    ),
    messages(
        "no empty text before reasoning or a call",
        lambda h: [b["type"] for b in h.blocks] == ["thinking", "tool_use"],
        chunked(
            delta({"role": "assistant", "content": "", "reasoning_content": None}),
            delta({"content": "", "reasoning_content": "hm"}),
            delta({"content": "", "tool_calls": [part("{}", index=0, id="c1", name="f")]}),
            delta({"content": ""}, "tool_calls"),
            LAST,
        ),
    ),
    messages(
        "all of it in one chunk",
        lambda h: [b["type"] for b in h.blocks] == ["text", "tool_use"],
        chunked(
            delta({"content": "ok", "tool_calls": [part('{"a": 1}', index=0, id="c1", name="f")]}, "tool_calls"), LAST
        ),
    ),
    messages(
        "lists of no calls",
        lambda h: [b["type"] for b in h.blocks] == ["text"],
        chunked(
            delta({"role": "assistant", "content": "o", "tool_calls": []}),
            delta({"content": "k", "tool_calls": None}),
            STOP,
            LAST,
        ),
    ),
    messages(
        "a choice without a delta",
        lambda h: text_of(h) == "ok",
        chunked(
            START,
            OK,
            {"id": "", "object": "", "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]},
            {"id": "c", "object": "x", "choices": [{"index": 0, "delta": None, "finish_reason": None}]},
            STOP,
            LAST,
        ),
    ),
    messages(
        "an answer whose server never says why it ended, but that it did",
        lambda h: text_of(h) == "ok" and h.event("message_delta")["delta"]["stop_reason"] == "end_turn",
        chunked(START, OK, LAST),
    ),
    messages(
        "calls whose server never says why it ended, but that it did",
        lambda h: h.event("message_delta")["delta"]["stop_reason"] == "tool_use",
        chunked(START, delta({"tool_calls": [part("{}", index=0, id="c1", name="f")]})),
    ),
    Case(
        "an answer of sound alone has no finish reason",
        "chat",
        "gpt",
        lambda h: h.status == 200 and h.record.error is None and b"AAAA" in h.body and b"[DONE]" in h.body,
        {"stream": True},
        chunked(
            delta({"role": "assistant", "audio": {"id": "a", "data": "AAAA"}}), delta({"audio": {"expires_at": 1}})
        ),
    ),
    messages(
        "an image of an answer is an image",
        lambda h: "image" in [b["type"] for b in h.blocks] and PNG in h.body.decode(),
        chunked(START, delta({"content": "", "images": [PICTURE]}), STOP, LAST),
    ),
    whole(
        "an image in a whole answer is an image",
        "messages",
        lambda h: h.json["content"][0]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG},
        plain(completion(DREW)),
    ),
    whole(
        "an image in a whole answer passes",
        "chat",
        lambda h: first(h)["images"] == [PICTURE],
        plain(completion(DREW)),
    ),
    whole(
        "an image in an answer is one of a response",
        "responses",
        lambda h: [i["result"] for i in h.json["output"] if i["type"] == "image_generation_call"] == [PNG],
        plain(completion(DREW)),
    ),
    whole(
        "sound in a whole answer passes, its words are in the log",
        "chat",
        lambda h: first(h)["audio"]["data"] == "AAAA" and h.record.output.text == "hello",
        plain(completion(choice({"content": None, "audio": {"id": "a", "data": "AAAA", "transcript": "hello"}}))),
    ),
    whole(
        "an error that is null is none",
        "chat",
        lambda h: first(h)["content"] == "ok",
        plain(completion(choice({"content": "ok"}), error=None)),
    ),
    whole(
        "an error that is empty is none",
        "messages",
        lambda h: h.json["content"][0]["text"] == "ok",
        plain(completion(choice({"content": "ok"}), error={}, base_resp={"status_code": 0, "status_msg": ""})),
    ),
    Case(
        "an error of vLLM's in a 200",
        "messages",
        "gpt",
        lambda h: h.status == 400 and b"n must be 1" in h.body,
        {},
        plain({"object": "error", "message": "n must be 1", "type": "BadRequestError", "code": 400}),
    ),
    whole(
        "an answer of reasoning alone",
        "messages",
        lambda h: [b["type"] for b in h.json["content"]] == ["thinking"] and h.json["stop_reason"] == "max_tokens",
        plain(completion(choice({"content": None, "reasoning_content": "hm"}, finish_reason="length"))),
    ),
    whole(
        "a call has no empty text beside it",
        "messages",
        lambda h: [b["type"] for b in h.json["content"]] == ["tool_use"],
        plain(
            completion(choice({"content": "", "tool_calls": [{"id": "c1", "type": "function"} | part("{}", name="f")]}))
        ),
    ),
    whole(
        "a whole answer without a finish reason",
        "messages",
        lambda h: h.json["stop_reason"] == "end_turn",
        plain(completion(choice({"content": "ok"}, finish_reason=None))),
    ),
    whole(
        "ids, times and usage may be missing",
        "responses",
        lambda h: h.json["output"][0]["content"][0]["text"] == "ok" and h.json["id"].startswith("resp_"),
        plain({"choices": [{"message": {"content": "ok"}}]}),
    ),
    Case(
        "a message has the keys that clients look for",
        "messages",
        "gpt",
        lambda h: (
            {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"} <= h.json.keys()
            and {"input_tokens", "output_tokens"} <= h.json["usage"].keys()
            and h.json["id"].startswith("msg_")
        ),
    ),
    Case(
        "two calls with all in one chunk each",
        "responses",
        "gpt",
        lambda h: (
            [i["call_id"] for i in h.event("response.completed")["response"]["output"]] == ["a", "b"]
            and kinds(h).count("response.output_item.done") == 2
        ),
        {"stream": True},
        calls_of(part("{}", index=0, id="a", name="f"), part("{}", index=1, id="b", name="g")),
    ),
    Case(
        "reasoning of a response's stream is an item of its own",
        "responses",
        "gpt",
        lambda h: [i["type"] for i in h.event("response.completed")["response"]["output"]] == ["reasoning", "message"],
        {"stream": True},
        chunked(START, delta({"reasoning_content": "hm"}), OK, STOP, LAST),
    ),
    messages(
        "cached tokens at the end of a stream",
        lambda h: (
            (u := h.event("message_delta")["usage"])["cache_read_input_tokens"] == 90
            and u["input_tokens"] == 10
            and u["output_tokens"] == 2
        ),
        chunked(
            START,
            OK,
            STOP,
            LAST
            | {"usage": {"prompt_tokens": 100, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 90}}},
        ),
    ),
    *[
        Case(
            f"an error in an object of another name, {name}",
            "chat",
            "gpt",
            lambda h: h.status == 502 and "balance" in h.record.error and h.record.status == 400,
            body,
            play,
        )
        for name, body, play in (
            ("whole", {}, plain(NO_BALANCE)),
            ("for a stream", {"stream": True}, plain(NO_BALANCE)),
            ("in a stream", {"stream": True}, chunked(NO_BALANCE)),
        )
    ],
    *[
        Case(
            f"an error without a status whose words say no more than that the server failed, {name}",
            "chat",
            "gpt",
            lambda h: h.status == 502,
            {},
            play,
        )
        for name, play in (
            ("flat", plain({"error": {"message": "The engine process has died unexpectedly"}})),
            ("nested", Play((b'{"a":' * 900 + b"1" + b"}" * 900,), "application/json")),
        )
    ],
    Case(
        "a status in an error of another form",
        "chat",
        "gpt",
        lambda h: h.status == 429,
        {},
        plain({"code": "429", "msg": "too many", "success": False}),
    ),
    *[
        Case(
            f"the service tier of an answer sets its price, {client}, {name}",
            client,
            "gpt",
            lambda h: abs(h.record.cost_usd - 1.35e-6) < 1e-12 and h.record.price_source.endswith("flex"),
            body,
            play,
        )
        for client in ("chat", "messages", "responses")
        for name, body, play in (
            ("whole", {}, plain(completion(choice({"content": "ok"}), service_tier="flex"))),
            ("in a stream", {"stream": True}, chunked(START, OK, STOP, LAST | {"service_tier": "flex"})),
        )
    ],
    Case(
        "a service tier in a tool's input is not that of the answer",
        "chat",
        "claude",
        lambda h: h.record.cost_usd is not None and not h.record.price_source.endswith("batch"),
        {},
        plain(
            {
                "id": "m1",
                "type": "message",
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"service_tier": "batch"}}],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 100, "output_tokens": 10, "service_tier": "standard"},
            }
        ),
    ),
    Case(
        "an answer in a service tier without a known price, which a later reading of the log still knows",
        "chat",
        "gpt",
        lambda h: h.record.cost_usd is None and h.record.params.other["service_tier"] == "scale",
        {},
        plain(completion(choice({"content": "ok"}), service_tier="scale")),
    ),
    *[
        Case(
            f"a stream whose server never says why it ended, but that it did, says so, {reason}",
            "chat",
            "gpt",
            lambda h, reason=reason: [c["finish_reason"] for e in h.events for c in e["choices"]][-1] == reason,
            {"stream": True},
            chunked(START, *said),
        )
        for reason, said in (
            ("stop", (OK, LAST)),
            ("tool_calls", (delta({"tool_calls": [part("{}", index=0, id="c1", name="f")]}), LAST)),
        )
    ],
    Case(
        "the first choice is the one with the lowest index",
        "messages",
        "gpt",
        lambda h: h.json["content"][0]["text"] == h.record.output.text == "ok",
        {},
        plain(completion(choice({"content": "other"}, index=1), choice({"content": "ok"}))),
    ),
]
