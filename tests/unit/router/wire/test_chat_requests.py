"""Chat completions for endpoints that speak Anthropic's messages."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.request import parse
from router.target import Target
from router.wire import anthropic_requests, chat_requests
from router.wire.chat_requests import translated
from router.wire.protocol import Untranslatable
from traffic.tiers import Endpoint

USER = {"role": "user", "content": "hello"}
CLAUDE = Endpoint(name="claude", kind="anthropic", base_url="https://api.anthropic.com", model="claude-haiku-4-5")


def said(messages: list[dict[str, Any]] | None = None, **body: Any) -> dict[str, Any]:
    return translated({"messages": messages or [USER]} | body)


def payload(target: Target, **body: Any) -> dict[str, Any]:
    request = parse(msgspec.json.encode({"messages": [USER]} | body), {})
    sent: dict[str, Any] = msgspec.json.decode(chat_requests.payload(request, target, stream=request.stream))
    return sent


# ------------------------------------------------------------------------------------------ requests


def test_system_messages_become_the_system_prompt_and_consecutive_messages_one_turn() -> None:
    body = said(
        [
            {"role": "system", "content": "a"},
            USER,
            {"role": "user", "content": [{"type": "text", "text": "again"}]},
            {"role": "developer", "content": "b"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "assistant", "content": "hm"},
        ]
    )
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "again"}]},
        {"role": "assistant", "content": "hm"},
    ]


def test_images_are_sent_as_data_or_as_urls() -> None:
    urls = ["data:image/png;base64,aGk=", "https://example.com/a.png"]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    (turn,) = said([{"role": "user", "content": parts}])["messages"]
    assert [block["source"] for block in turn["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": "aGk="},
        {"type": "url", "url": "https://example.com/a.png"},
    ]


@pytest.mark.parametrize("second, results, texts", [("1", ["1"], 0), ("2", ["1"], 1)])
def test_each_call_has_exactly_one_result(second: str, results: list[str], texts: int) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    sent_results = [{"role": "tool", "tool_call_id": "c", "content": content} for content in ("1", second)]
    content = said([USER, {"role": "assistant", "content": None, "tool_calls": [call]}, *sent_results])["messages"][2][
        "content"
    ]
    assert [block["content"] for block in content if block["type"] == "tool_result"] == results
    assert len([block for block in content if block["type"] == "text"]) == texts


def test_ids_that_differ_only_in_invalid_characters_stay_distinct() -> None:
    ids = ["functions.f:0", "functions.f.0", "functions_f_0"]
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ids]
    turns = [{"role": "assistant", "content": None, "tool_calls": calls}]
    turns += [{"role": "tool", "tool_call_id": name, "content": name} for name in ids]
    translated_turns = said([USER, *turns])["messages"]
    uses = [block["id"] for block in translated_turns[1]["content"]]
    assert len(set(uses)) == 3
    assert [block["tool_use_id"] for block in translated_turns[2]["content"]] == uses


def test_calls_and_results_get_the_same_replacement_for_an_invalid_id() -> None:
    call = {"id": "functions.find:0", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
    body = said(
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "functions.find:0", "content": "none"},
            {"role": "user", "content": "so?"},
        ]
    )
    (use,) = body["messages"][1]["content"]
    assert (use["type"], use["name"], use["input"]) == ("tool_use", "find", {"q": 1})
    assert re.fullmatch("functions_find_0_[0-9a-f]{8}", use["id"])
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": use["id"], "content": "none"},
        {"type": "text", "text": "so?"},
    ]


@pytest.mark.parametrize(
    "sent, expected",
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({}, None),
    ],
)
def test_tool_choice_is_translated(sent: dict[str, Any], expected: dict[str, Any] | None) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "strict": True}}]
    body = said(tools=tools, **sent)
    schema = {"type": "object", "additionalProperties": False}
    assert body["tools"] == [{"name": "f", "description": "d", "input_schema": schema, "strict": True}]
    assert body.get("tool_choice") == expected


@pytest.mark.parametrize(
    "body, name",
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"temperature": 1.5}, "temperature above 1"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "grammar"}}, "response_format grammar"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort extreme"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools of type custom"),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}}]},
            "tools.custom.format that is a grammar",
        ),
        ({"something_new": 1}, "something_new"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.input_audio"),
        ({"messages": [{"role": "system", "content": " "}]}, "messages without any text"),
        ({"messages": [USER | {"name": "Ada"}]}, "messages.name"),
    ],
)
def test_parameters_without_a_counterpart_are_named(body: dict[str, Any], name: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        translated({"messages": [USER]} | body)
    assert str(caught.value) == name
    if name in body:
        assert translated({"messages": [USER]} | body, (name,)) == said()


def test_parameters_with_default_values_and_our_tags_do_not_prevent_a_translation() -> None:
    anyway = {"n": 1, "logprobs": False, "frequency_penalty": 0.0, "temperature": 1, "top_p": 1.0, "seed": None}
    assert said(**anyway, metadata={"call_site": "x"}, stream_options=None, prompt_cache_key="k") == said()


def test_a_conversation_begins_with_the_user_and_tool_results_come_first() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "assistant", "content": "hello", "tool_calls": [call, call]},
        {"role": "user", "content": "meanwhile"},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": ""},
    ]
    sent = translated({"messages": turns})["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result", "tool_result", "text"]
    # Calls and results without ids belong together in their order.
    used = [block["id"] for block in sent[1]["content"] if block["type"] == "tool_use"]
    assert used == [block["tool_use_id"] for block in sent[2]["content"][:2]]
    assert len(set(used)) == 2


def test_only_one_of_temperature_and_top_p_is_sent() -> None:
    """Newer models refuse both together."""
    sent = {"temperature": 0.2, "top_p": 0.5}
    assert said(**sent) == said(temperature=0.2)
    request = parse(msgspec.json.encode({"messages": [USER]} | sent), {})
    assert chat_requests.left_out(request, CLAUDE) == ("top_p",)
    assert said(top_p=0.5)["top_p"] == 0.5


def test_cache_marks_are_kept_and_never_more_than_four() -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "x", "cache_control": mark}
    tool = {"type": "function", "function": {"name": "f"}, "cache_control": mark}
    messages = [{"role": "system", "content": [part]}, {"role": "user", "content": [part, part], "cache_control": mark}]
    sent = translated({"messages": messages, "tools": [tool]})
    assert "cache_control" in sent["tools"][0]
    assert sent["system"] == [part]
    assert sent["messages"][0]["content"] == [part, part]
    many = translated({"messages": messages, "tools": [tool, tool, tool], "cache_control": mark})
    assert str(many).count("cache_control") == 4
    assert many["messages"][0]["content"] == [part, part]


def test_a_malformed_request_is_not_translated() -> None:
    request = parse(b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', {})
    with pytest.raises(Untranslatable, match=r"image_url"):
        chat_requests.body_for(request, CLAUDE)


@pytest.mark.parametrize(
    "sent, registry, expected",
    [
        ({}, None, 8192),
        ({"max_tokens": 10}, None, 10),
        ({"max_completion_tokens": 99, "max_tokens": 70}, 50, 50),
        ({}, 50, 50),
        ({"max_tokens": 10}, 50, 10),
    ],
)
def test_max_tokens_is_always_set(sent: dict[str, int], registry: int | None, expected: int) -> None:
    assert payload(Target(CLAUDE, 2, None, registry), **sent)["max_tokens"] == expected


def test_the_model_version_decides_which_parameters_are_sent() -> None:
    def version(leave_out: tuple[str, ...] = (), **body: Any) -> str:
        request = parse(msgspec.json.encode({"messages": [USER]} | body), {})
        target = Target(msgspec.structs.replace(CLAUDE, leave_out=leave_out), 2)
        return chat_requests.headers("k", request, target)["anthropic-version"]

    assert (version(), version(temperature=1, top_p=None)) == ("2026-10-21", "2026-10-21")
    assert (version(temperature=0), version(top_p=0.5)) == ("2023-06-01", "2023-06-01")
    assert version(("temperature",), temperature=0) == "2026-10-21"


# -------------------------------------------------------------------------------------- there and back

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
CALLS = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.dictionaries(TEXT, st.integers() | TEXT, max_size=3)),
    min_size=1,
    max_size=3,
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A system prompt, then user and assistant in turns, with calls of tools and their results."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(TEXT)}] if draw(st.booleans()) else []
    messages.append({"role": "user", "content": draw(TEXT)})
    for turn in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            messages.append({"role": "assistant", "content": draw(TEXT)})
        else:
            calls = [
                {"id": f"c{turn}_{n}", "type": "function", "function": {"name": name, "arguments": _dump(arguments)}}
                for n, (name, arguments) in enumerate(draw(CALLS))
            ]
            messages.append({"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)} for call in calls]
        messages.append({"role": "user", "content": draw(TEXT)})
    return messages


def _dump(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@given(conversations())
def test_a_conversation_is_the_same_after_translation_in_both_directions(messages: list[dict[str, Any]]) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]
    sent = {"messages": messages, "tools": tools, "tool_choice": "required", "stop": ["x"], "max_completion_tokens": 5}
    there = translated(sent) | {"model": "m"}
    back = anthropic_requests.parse(msgspec.json.encode(there), {})
    again = {key: msgspec.json.decode(raw) for key, raw in back.tree.items()}
    assert again == sent | {"model": "m"}
    assert back.untranslated == ()
