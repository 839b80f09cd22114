import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.transformers_server.protocol import ChatRequest, TextRequest
from traffic.errors import InputError

pytestmark = pytest.mark.slow

HELLO = [{"role": "user", "content": "hello"}]


def chat(**fields: Any) -> ChatRequest:
    return msgspec.json.decode(json.dumps({"model": "m", "messages": HELLO} | fields), type=ChatRequest)


def test_unknown_fields_are_ignored() -> None:
    assert chat(user="u1", safety_identifier="x").model == "m"


def test_max_completion_tokens_is_an_alias_of_max_tokens() -> None:
    assert chat(max_completion_tokens=7).sampling(100, logprobs=None).max_tokens == 7


def test_without_a_cap_the_answer_may_fill_the_context() -> None:
    assert chat().sampling(40, logprobs=None).max_tokens == 40


@pytest.mark.parametrize(
    "fields, kind, text",
    [
        ({"structured_outputs": {"choice": ["a", "b"]}}, "choice", '["a", "b"]'),
        ({"structured_outputs": {"json": {"type": "object"}}}, "json_schema", '{"type": "object"}'),
        ({"structured_outputs": {"regex": "[a-z]+"}}, "regex", "[a-z]+"),
        ({"response_format": {"type": "json_object"}}, "json_object", ""),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}},
            "json_schema",
            '{"type": "object"}',
        ),
    ],
)
def test_every_form_of_a_constraint_is_supported(fields: dict[str, Any], kind: str, text: str) -> None:
    assert chat(**fields).constraint() == (kind, text)


def test_a_plain_text_format_is_no_constraint() -> None:
    assert chat(response_format={"type": "text"}).constraint() is None
    assert chat(structured_outputs={}).constraint() is None


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"n": 2}, "n:"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"5": 100}}, "logit_bias"),
        ({"repetition_penalty": 1.2}, "repetition_penalty"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": 41}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)
def test_unsupported_parameters_that_change_the_answer_are_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        chat(**fields).sampling(40, logprobs=None)


def test_text_parts_are_joined_and_other_parts_refused() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert chat(messages=[{"role": "user", "content": parts}]).messages[0].rendered()["content"] == "one\ntwo"
    image = [{"type": "image_url", "image_url": {"url": "http://x"}}]
    with pytest.raises(InputError, match="image_url"):
        chat(messages=[{"role": "user", "content": image}]).messages[0].rendered()


SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_any_json_is_decoded_or_refused(value: Any) -> None:
    for kind in (ChatRequest, TextRequest):
        for body in (value, {"model": "m", "messages": value, "prompt": value, "stop": value}):
            try:
                request = msgspec.json.decode(msgspec.json.encode(body), type=kind)
                request.sampling(40, logprobs=None)
            except (msgspec.DecodeError, InputError):
                continue
