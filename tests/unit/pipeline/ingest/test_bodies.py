"""Bodies of every API: answers are read or refused by name, never empty."""

import json
from typing import Any

import msgspec
import pytest

from pipeline.ingest.bodies import Unreadable, read_answer, read_messages, read_prompt
from pipeline.ingest.bodies.chat_completion import read_chat_completion
from pipeline.ingest.values import Notes
from traffic.record import Usage

MESSAGE = {"role": "assistant", "content": "yes"}
CHAT = {"id": "c", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "body",
    [
        CHAT,
        json.dumps(CHAT),
        json.dumps(json.dumps(CHAT)),
        {"status_code": 200, "request_id": "q", "body": CHAT},
        {"status": 200, "headers": {}, "body": json.dumps(CHAT)},
        {"response": {"body": CHAT}},
        MESSAGE,
        [{"role": "user", "content": "?"}, MESSAGE],
        CHAT["choices"],
        "yes",
        {"choices": [{"text": "yes", "finish_reason": "stop"}]},
        {
            "type": "message",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}],
            "stop_reason": "end_turn",
        },
        {
            "type": "message",
            "content": [{"type": "compaction", "content": "They said hm."}, {"type": "text", "text": "yes"}],
            "stop_reason": "end_turn",
        },
        {"content": {"role": "model", "parts": [{"text": "yes"}]}, "finish_reason": "STOP"},
        {"output": {"message": {"role": "assistant", "content": [{"text": "yes"}]}}, "stopReason": "end_turn"},
        {"object": "response", "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}]},
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"thought": True, "text": "hm"}, {"text": "yes"}]},
                    "finishReason": "STOP",
                }
            ]
        },
        {"message": MESSAGE, "done_reason": "stop"},
        {"results": [{"outputText": "yes", "completionReason": "FINISH"}]},
        {"generation": "yes", "stop_reason": "stop"},
        {"outputs": [{"text": "yes", "stop_reason": "stop"}]},
        {"messages": [{"role": "user", "content": "?"}, MESSAGE]},
        {"type": "ai", "content": "yes"},
        [
            {"choices": [{"delta": {"content": "ye"}}]},
            {"choices": [{"delta": {"content": "s"}, "finish_reason": "stop"}]},
        ],
        (
            'data: {"choices":[{"delta":{"content":"ye"}}]}\n\n'
            'data: {"choices":[{"delta":{"content":"s"}}]}\n\ndata: [DONE]\n'
        ),
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "yes"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        ],
        [
            {"contentBlockDelta": {"delta": {"text": "yes"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
        ],
        [{"type": "response.output_text.delta", "delta": "yes"}, {"type": "response.completed", "response": {}}],
        [{"role": "assistant", "parts": [{"type": "text", "content": "yes"}], "finish_reason": "stop"}],
    ],
)
def test_every_shape_of_an_answer_is_read(body: Any) -> None:
    answer = read_answer(body, Notes())
    assert answer is not None
    assert (answer.text, answer.tool_calls, answer.error) == ("yes", None, None)
    assert answer.finish_reason in ("stop", None)


CALL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": None, "tool_calls": CALL}}]},
        {
            "choices": [
                {
                    "message": {
                        "content": None,
                        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}],
                    }
                }
            ]
        },
        {"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}], "stop_reason": "tool_use"},
        {
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [{"toolUse": {"toolUseId": "1", "name": "f", "input": {"a": 1}}}],
                }
            }
        },
        {"output": [{"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a":1}'}]},
        [{"toolCallId": "1", "toolName": "f", "input": '{"a":1}'}],
        {"role": "assistant", "content": "", "additional_kwargs": {"tool_calls": CALL}},
        [
            {
                "choices": [
                    {"delta": {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a"'}}]}}
                ]
            },
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}]},
        ],
        [
            {"type": "message_start", "message": {}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "id": "1", "name": "f", "input": {}},
            },
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ":1}"}},
        ],
    ],
)
def test_tool_calls_have_one_form(body: Any) -> None:
    answer = read_answer(body, Notes())
    assert answer is not None
    (call,) = answer.tool_calls or ()
    assert (call["id"], call["function"]) == ("1", {"name": "f", "arguments": '{"a":1}'})


def test_a_call_in_the_former_style_is_a_tool_call() -> None:
    body = {"choices": [{"message": {"content": None, "function_call": {"name": "f", "arguments": "{}"}}}]}
    answer = read_answer(body, Notes())
    assert answer is not None
    assert [call["function"]["name"] for call in answer.tool_calls or ()] == ["f"]


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "yes"},
        {"a": {"b": 1}},
        [1, 2],
        [{"x": 1}],
        {"data": [{"embedding": [0.1]}]},
        {"choices": [7]},
        3,
        True,
    ],
)
def test_an_answer_of_no_known_api_is_refused_by_name(body: Any) -> None:
    with pytest.raises(Unreadable) as error:
        read_answer(body, Notes())
    assert error.value.reason in ("unknown_answer", "not_chat")


@pytest.mark.parametrize(
    "text", ['{"topic": "billing"}', '{"content": "x", "tags": []}', "[1, 2]", '"quoted"', "{broken"]
)
def test_a_text_that_is_json_is_the_answer_itself(text: str) -> None:
    answer = read_answer(text, Notes())
    assert answer is not None
    assert answer.text == (text if text != '"quoted"' else "quoted")


@pytest.mark.parametrize("body", [None, "", {}, []])
def test_no_body_is_no_answer(body: Any) -> None:
    assert read_answer(body, Notes()) is None


@pytest.mark.parametrize(
    "written,read",
    [
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("content-filter", "content_filter"),
    ],
)
def test_finish_reasons_have_one_spelling(written: str, read: str) -> None:
    notes = Notes()
    answer = read_answer({"choices": [{"message": MESSAGE, "finish_reason": written}]}, notes)
    assert answer is not None
    assert (answer.finish_reason, notes.unknown) == (read, [])


def test_an_unknown_finish_reason_stays_and_is_noted() -> None:
    notes = Notes()
    answer = read_answer({"choices": [{"message": MESSAGE, "finish_reason": "abducted"}]}, notes)
    assert answer is not None
    assert (answer.finish_reason, notes.unknown) == ("abducted", ["finish_reason=abducted"])


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]},
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}], "status": "completed"},
        {"content": [{"type": "text", "text": "no"}], "stop_reason": "refusal"},
        {"promptFeedback": {"blockReason": "SAFETY"}},
    ],
)
def test_a_refusal_is_no_clean_stop_whatever_its_words(body: Any) -> None:
    answer = read_answer(body, Notes())
    assert answer is not None
    assert answer.finish_reason == "content_filter"


@pytest.mark.parametrize(
    "body", [{"error": {"message": "m", "type": "t"}}, {"type": "error", "error": {"message": "m", "type": "t"}}]
)
def test_an_error_body_is_an_error(body: Any) -> None:
    answer = read_answer(body, Notes())
    assert answer is not None
    assert (answer.error, answer.text) == ("t: m", None)


@pytest.mark.parametrize("more", [{}, {"index": None}, {"id": "c1"}, {"index": 0, "id": "c1"}])
def test_the_pieces_of_a_streamed_tool_call_are_one_call(more: dict[str, Any]) -> None:
    first = more | {"type": "function", "function": {"name": "tag", "arguments": '{"a":'}}
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [first]}}]}]
    chunks += [{"choices": [{"index": 0, "delta": {"tool_calls": [more | {"function": {"arguments": " 1}"}}]}}]}]
    answer = read_answer(chunks, Notes())
    assert answer is not None
    function = {"name": "tag", "arguments": '{"a": 1}'}
    assert answer.tool_calls == [{"id": more.get("id", ""), "type": "function", "function": function}]


def test_a_stream_that_was_cut_is_refused_by_name() -> None:
    with pytest.raises(Unreadable) as error:
        read_answer('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choi', Notes())
    assert error.value.reason == "cut_stream"


def test_usage_is_read_from_the_body() -> None:
    answer = read_answer(CHAT | {"usage": {"prompt_tokens": "10", "completion_tokens": 2.0}}, Notes())
    assert answer is not None
    assert answer.usage == Usage(input_uncached=10, output=2)


SAID = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": SAID},
        {"messages": json.dumps(SAID)},
        {"system": "be brief", "messages": [{"role": "user", "content": "hi"}]},
        {
            "system": [{"text": "be brief"}],
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {},
        },
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        },
        {"instructions": "be brief", "input": "hi"},
        {
            "input": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            ]
        },
        {"messages": [{"type": "system", "content": "be brief"}, {"type": "human", "content": "hi"}]},
        SAID,
    ],
)
def test_every_shape_of_a_prompt_is_read(body: Any) -> None:
    read = read_prompt(body, Notes()).messages
    assert [(message["role"], message["content"]) for message in read] == [("system", "be brief"), ("user", "hi")]


def test_a_prompt_that_is_one_text_is_a_message_of_the_user() -> None:
    assert read_prompt({"prompt": "hi"}, Notes()).messages == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "body", [{"model": "m"}, {"messages": []}, {"messages": {"role": "user"}}, {"messages": [7]}, {}]
)
def test_a_request_without_a_prompt_is_refused_by_name(body: Any) -> None:
    with pytest.raises(Unreadable):
        read_prompt(body, Notes())


def test_images_are_counted_and_their_bytes_are_not_kept() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    prompt = read_prompt(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]}, Notes()
    )
    assert prompt.images == 1
    assert "AAAA" not in json.dumps(prompt.messages)
    other = {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}
    again = read_prompt(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, other]}]}, Notes()
    )
    assert again.messages != prompt.messages


def test_results_of_tools_are_messages_of_their_own() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "42"}]},
        {"type": "text", "text": "go on"},
    ]
    assert read_messages([{"role": "user", "content": blocks}]) == [
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "user", "content": "go on"},
    ]


def test_parameters_that_cannot_be_read_are_null_and_noted() -> None:
    notes = Notes()
    prompt = read_prompt(
        {"messages": SAID, "max_tokens": -1, "temperature": "0.7", "stream": "true", "top_p": 1}, notes
    )
    assert (prompt.params.max_tokens, prompt.params.temperature, prompt.params.stream) == (None, 0.7, True)
    assert (prompt.params.other, notes.nulled) == ({"top_p": 1}, ["max_tokens"])


_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "body",
    [
        CHAT,
        CHAT | {"usage": _USAGE, "model": "m", "id": 7},
        CHAT | {"usage": _USAGE | {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens": "two"}},
        CHAT | {"usage": {"tokens": {"input_tokens": 3}}},
        CHAT | {"usage": None, "usageMetadata": {"promptTokenCount": 3}},
        CHAT | {"id": None, "responseId": "r", "modelVersion": "v"},
        {"choices": [{"message": {"content": None, "tool_calls": [_CALL]}, "finish_reason": "tool_calls"}]},
        {"choices": [{"message": {"content": None, "tool_calls": [{"name": "f", "args": {"a": 1}}]}}]},
        {"choices": [{"message": {"content": "no", "refusal": "I will not"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "yes"}]}}]},
        {"choices": [{"message": {"function_call": {"name": "f", "arguments": "{}"}}}]},
        {"choices": [{"message": {"content": "x", "stop_reason": "max_tokens"}}]},
        {"choices": [{"message": MESSAGE, "finish_reason": "odd"}]},
        {"choices": [{"delta": MESSAGE}]},
    ],
)
def test_the_usual_form_of_a_completion_is_read_like_every_other(body: dict[str, Any]) -> None:
    notes, general = Notes(), Notes()
    quick = read_chat_completion(msgspec.Raw(msgspec.json.encode(body)), notes)
    if quick is not None:
        assert (quick, notes.nulled, notes.unknown) == (
            read_answer(body, general),
            general.nulled,
            general.unknown,
        )


def test_the_usual_form_of_a_completion_is_recognised() -> None:
    assert read_chat_completion(msgspec.Raw(msgspec.json.encode(CHAT | {"usage": _USAGE})), Notes()) is not None
