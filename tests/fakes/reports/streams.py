"""Answers as providers and the gateways in front of them stream them: segments, finish reasons, usage, ends."""

from typing import Any

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, events, plain
from tests.fakes.reports import Body, Case, deltas, first
from tests.fakes.wire_bench import LAST, START, STOP, Heard, choice, completion, delta

STREAM: Body = {"stream": True}


def chunks(*sent: Any, done: bool = True) -> Play:
    return raw.stream(events(START, *sent, *([b"[DONE]"] if done else [])))


def thought(text: str) -> Body:
    return delta({"reasoning_content": text})


def call(arguments: str, name: str | None = "f", **keys: Any) -> Body:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return delta({"tool_calls": [{"index": 0} | keys | {"function": function}]})


def well_formed(heard: Heard) -> bool:
    """Whether each block is opened, told of and closed before the next one."""
    current, at = None, -1
    for event in heard.events:
        if event["type"] == "content_block_start":
            at += 1
            assert current is None
            assert event["index"] == at
            current = event["content_block"]["type"]
        elif event["type"] == "content_block_delta":
            kinds = {
                "text": "text_delta",
                "thinking": ("thinking_delta", "signature_delta"),
                "tool_use": "input_json_delta",
            }
            assert current is not None
            assert event["index"] == at
            assert event["delta"]["type"] in kinds[current]
        elif event["type"] == "content_block_stop":
            assert event["index"] == at
            current = None
    return current is None and heard.events[-1]["type"] == "message_stop"


def kinds(heard: Heard) -> list[str]:
    return [block["type"] for block in heard.blocks]


def stop(heard: Heard) -> Any:
    return heard.event("message_delta")["delta"]["stop_reason"]


def used(heard: Heard) -> Any:
    return heard.event("message_delta")["usage"]


def message(name: str, right: Any, play: Play, body: Body = STREAM) -> Case:
    return Case(name, "messages", "gpt", right, body, play)


def response(name: str, right: Any, play: Play, body: Body = STREAM) -> Case:
    return Case(name, "responses", "gpt", right, body, play)


def chat(name: str, right: Any, play: Play, body: Body = STREAM) -> Case:
    return Case(name, "chat", "gpt", right, body, play)


def ordered(heard: Heard) -> bool:
    """Whether items are added before anything is said of them, and all events are numbered without a gap."""
    known = set()
    for event in heard.events:
        if event["type"] == "response.output_item.added":
            known.add(event["output_index"])
        elif "output_index" in event:
            assert event["output_index"] in known
    return [event["sequence_number"] for event in heard.events] == list(range(len(heard.events)))


def last(heard: Heard) -> Any:
    return heard.events[-1]


USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "prompt_tokens_details": {"cached_tokens": 16},
}
LATE = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}}], "usage": USAGE}
FILTERS = {"hate": {"filtered": False, "severity": "safe"}}
AZURE_FIRST = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{}]}
AZURE_LAST = {
    "id": "",
    "object": "",
    "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}}],
}
PROVIDER_DIED = {"code": 502, "message": "Provider disconnected"}

STREAMS = [
    message(
        "thinking, a call, and thinking again are blocks of their own",
        lambda h: well_formed(h) and kinds(h) == ["thinking", "tool_use", "thinking", "text"],
        chunks(thought("a"), call("{}", id="c1"), thought("b"), delta({"content": "ok"}), STOP, LAST),
    ),
    message(
        "a text after a call is a block of its own",
        lambda h: well_formed(h) and sorted(kinds(h)) == ["text", "tool_use"] and stop(h) == "tool_use",
        chunks(call("{}", id="c1"), delta({"content": "ok"}), delta({}, "tool_calls"), LAST),
    ),
    message(
        "a finish reason behind each chunk ends no call",
        lambda h: well_formed(h) and h.blocks[0]["json"] == '{"a": 1}' and stop(h) == "tool_use",
        chunks(
            call("", id="c1"),
            delta({}, "stop"),
            call('{"a"', None),
            delta({}, "stop"),
            call(": 1}", None),
            delta({}, "tool_calls"),
            LAST,
        ),
    ),
    message(
        "usage beside an empty delta behind the finish reason",
        lambda h: used(h)["cache_read_input_tokens"] == 16 and used(h)["output_tokens"] == 7,
        chunks(delta({"content": "ok"}), STOP, LATE),
    ),
    message(
        "usage that grows from chunk to chunk is not added up",
        lambda h: used(h)["output_tokens"] == 7 and h.record.usage.output == 7,
        chunks(
            *[delta({"content": "o"}) | {"usage": USAGE | {"completion_tokens": n}} for n in (1, 4)],
            STOP | {"usage": USAGE},
        ),
    ),
    message(
        "usage whose details are null",
        lambda h: used(h)["input_tokens"] == 20,
        chunks(
            delta({"content": "ok"}),
            STOP,
            LAST | {"usage": USAGE | {"prompt_tokens_details": None, "completion_tokens_details": None}},
        ),
    ),
    message(
        "reasoning under two names is one",
        lambda h: h.blocks[0]["thinking"] == "hm",
        chunks(delta({"reasoning": "hm", "reasoning_content": "hm"}), delta({"content": "ok"}), STOP, LAST),
    ),
    message(
        "reasoning with its details is one",
        lambda h: h.blocks[0]["thinking"] == "hm",
        chunks(
            delta({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}),
            delta({"content": "ok"}),
            STOP,
            LAST,
        ),
    ),
    message(
        "reasoning in its details alone",
        lambda h: kinds(h) == ["thinking", "text"] and h.blocks[0]["thinking"] == "hm",
        chunks(
            delta({"reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}),
            delta({"content": "ok"}),
            STOP,
            LAST,
        ),
    ),
    message(
        "another gateway's signed thinking keeps its signature",
        lambda h: h.blocks[0]["thinking"] == "hm" and h.blocks[0]["signature"] == "c2ln",
        chunks(
            delta({"reasoning_content": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}),
            delta({"reasoning_content": "", "thinking_blocks": [{"type": "thinking", "signature": "c2ln"}]}),
            delta({"content": "ok"}),
            STOP,
            LAST,
        ),
    ),
    message(
        "what a filter stopped is a refusal",
        lambda h: stop(h) == "refusal" and h.blocks[0]["text"] == "ok",
        chunks(delta({"content": "ok"}), delta({}, "content_filter"), LAST),
    ),
    message(
        "what filters found, first, between and last",
        lambda h: well_formed(h) and h.blocks[0]["text"] == "ok" and stop(h) == "end_turn",
        raw.stream(
            events(
                AZURE_FIRST,
                START,
                delta({"content": "ok"}, content_filter_results=FILTERS),
                delta({}, "stop", content_filter_results={}),
                AZURE_LAST,
                LAST,
                b"[DONE]",
            )
        ),
    ),
    message(
        "a call that gets its id later",
        lambda h: len(h.blocks) == 1 and h.blocks[0]["id"] and h.blocks[0]["json"] == '{"a": 1}',
        chunks(call(""), call('{"a": 1}', None, id="c1"), delta({}, "tool_calls"), LAST),
    ),
    message(
        "the last text beside the finish reason",
        lambda h: h.blocks[0]["text"] == "ok",
        chunks(delta({"content": "o"}), delta({"content": "k"}, "stop"), LAST),
    ),
    message(
        "a finish for calls without a call",
        lambda h: stop(h) == "end_turn",
        chunks(delta({"content": "ok"}), delta({"tool_calls": []}, "tool_calls"), LAST),
    ),
    message(
        "a call that is cut off is no whole message",
        lambda h: last(h)["type"] == "error" and h.record.error is not None,
        chunks(call('{"a"', id="c1"), done=False),
    ),
    message(
        "a provider that dies says so in a finish reason",
        lambda h: last(h)["type"] == "error" and h.record.error is not None,
        raw.stream(
            events(START, delta({"content": "ok"})),
            0.1,
            events(delta({"content": ""}, "error") | {"error": PROVIDER_DIED}, b"[DONE]"),
        ),
    ),
    message(
        "an argument that is null",
        lambda h: h.json["content"] == [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}],
        plain(
            completion(
                choice({"content": None, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": None}}]})
            )
        ),
        {},
    ),
    message(
        "fields that only one server knows",
        lambda h: h.json["content"][0]["text"] == "ok",
        plain(
            completion(
                choice({"content": "ok", "reasoning": None, "audio": None}, stop_reason=None, token_ids=None),
                prompt_logprobs=None,
                kv_transfer_params=None,
                service_tier=None,
            )
        ),
        {},
    ),
    chat(
        "a choice that holds an error is no answer",
        lambda h: h.status == 502 and b"Provider disconnected" in h.record.error.encode(),
        plain(completion(choice({"content": ""}, finish_reason="error", error=PROVIDER_DIED))),
        {},
    ),
    chat(
        "an error beside the last chunk is one",
        lambda h: b"Provider disconnected" in h.body and b"[DONE]" not in h.body and h.record.error is not None,
        chunks(delta({"content": "ok"}), delta({"content": ""}, "error") | {"error": PROVIDER_DIED}),
    ),
    chat(
        "a line separator inside of a text is no line's end",
        lambda h: h.record.output.text == "a\u2028b\u0085c" and h.record.error is None,
        raw.stream(
            events(START)
            + 'data: {"choices":[{"index":0,"delta":{"content":"a\u2028b\u0085c"}}]}\n\n'.encode()
            + events(STOP, LAST, b"[DONE]")
        ),
    ),
    chat(
        "thousands of events in one packet",
        lambda h: h.record.output.text == "x" * 5000 and len(deltas(h)) >= 5000,
        chunks(*[delta({"content": "x"}) for _ in range(5000)], STOP, LAST),
    ),
    chat(
        "what a filter said of the prompt is passed on",
        lambda h: first(h)["content"] == "ok" and h.json["prompt_filter_results"] == [{"prompt_index": 0}],
        plain(completion(choice({"content": "ok"}), prompt_filter_results=[{"prompt_index": 0}])),
        {},
    ),
    response(
        "an answer without a finish reason has all its ends",
        lambda h: (
            ordered(h) and last(h)["type"] == "response.completed" and h.event("response.output_item.done")["item"]
        ),
        chunks(delta({"content": "ok"})),
    ),
    response(
        "an answer that is cut off fails",
        lambda h: last(h)["type"] == "response.failed" and h.record.error is not None,
        chunks(delta({"content": "ok"}), done=False),
    ),
    response(
        "an answer at its limit is incomplete",
        lambda h: (
            last(h)["type"] == "response.incomplete"
            and last(h)["response"]["incomplete_details"]["reason"] == "max_output_tokens"
        ),
        chunks(delta({"content": "ok"}), delta({}, "length"), LAST),
    ),
    response(
        "an answer that a filter stopped is incomplete",
        lambda h: (
            last(h)["type"] == "response.incomplete"
            and last(h)["response"]["incomplete_details"]["reason"] == "content_filter"
        ),
        chunks(delta({"content": "ok"}), delta({}, "content_filter"), LAST),
    ),
    response(
        "reasoning, a text, a call, and a text again are items of their own",
        lambda h: (
            ordered(h)
            and sorted(item["type"] for item in last(h)["response"]["output"])
            == ["function_call", "message", "message", "reasoning"]
            and last(h)["response"]["output"][0]["type"] == "reasoning"
        ),
        chunks(
            thought("hm"),
            delta({"content": "o"}),
            call("{}", id="c1"),
            delta({"content": "k"}),
            delta({}, "stop"),
            LAST,
        ),
    ),
    response(
        "a refusal is a refusal's part",
        lambda h: (
            h.event("response.refusal.delta")["delta"] == "no"
            and last(h)["response"]["output"][0]["content"][0] == {"type": "refusal", "refusal": "no"}
        ),
        chunks(delta({"refusal": "no"}), STOP, LAST),
    ),
    response(
        "arguments in pieces are said piece by piece",
        lambda h: (
            "".join(e["delta"] for e in h.events if e["type"] == "response.function_call_arguments.delta") == '{"a":1}'
            and h.event("response.function_call_arguments.done")["arguments"] == '{"a":1}'
        ),
        chunks(call('{"a"', id="c1"), call(":1}", None), delta({}, "tool_calls"), LAST),
    ),
]
