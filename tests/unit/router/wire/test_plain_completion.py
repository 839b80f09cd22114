"""The fast path for standard completions agrees with the tolerant parser or declines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire import openai, plain_completion

USUAL = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}


def completion(message: dict[str, Any] | None = None, choice: dict[str, Any] | None = None, **more: Any) -> bytes:
    first = {**USUAL["choices"][0], **(choice or {})}  # type: ignore[dict-item]
    first["message"] = first["message"] | (message or {})
    return json.dumps({**USUAL, "choices": [first], **more}, ensure_ascii=False).encode()


def test_a_standard_answer_takes_the_fast_path() -> None:
    answer = plain_completion.read(completion({"tool_calls": [], "refusal": None, "reasoning_content": None}))
    assert answer is not None
    assert (answer.output.text, answer.output.finish_reason) == ("yes", "stop")
    assert answer.counted is not None
    assert (answer.counted.input_uncached, answer.counted.output) == (5, 1)


@pytest.mark.parametrize(
    "body",
    [
        completion({"content": [{"type": "text", "text": "yes"}]}),
        completion({"content": ""}),
        completion({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}),
        completion({"reasoning": "because"}),
        completion({"refusal": "no"}),
        completion({"thinking_blocks": []}),
        completion(choice={"finish_reason": None}),
        completion(error={"message": "overloaded"}),
        completion(usage=[1]),
        completion(choices=[]),
        completion(choices=[USUAL["choices"][0], USUAL["choices"][0]]),  # type: ignore[index]
        completion({"content": "yes"}, id="\\ud83d").replace(b"\\\\u", b"\\u"),
        completion().replace(b"yes", b"\xff"),
        b"[]",
        b"data: [DONE]",
    ],
)
def test_unusual_answers_are_left_to_the_tolerant_parser(body: bytes) -> None:
    assert plain_completion.read(body) is None


def test_log_probabilities_are_removed_from_the_body() -> None:
    step = {"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": -3.0}]}
    body = completion(choice={"logprobs": {"content": [step]}})
    answer = plain_completion.read(body)
    assert answer is not None
    judged = plain_completion.judged(answer, body)
    assert judged is not None
    signals, stripped = judged
    assert signals == openai.signals_of([step])
    assert json.loads(stripped)["choices"][0] == USUAL["choices"][0] | {"logprobs": None}  # type: ignore[index]


@pytest.mark.parametrize("logprobs", [None, [], "none", {"tokens": ["yes"]}, {"content": [{"logprob": "low"}]}, {}])
def test_log_probabilities_in_another_form_are_left_to_the_tolerant_parser(logprobs: Any) -> None:
    body = completion(choice={"logprobs": logprobs})
    answer = plain_completion.read(body)
    assert answer is not None
    assert plain_completion.judged(answer, body) is None


@pytest.mark.parametrize("other", ["logprobs", "copy"])
def test_only_the_choices_log_probabilities_are_removed(other: str) -> None:
    logprobs = {"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": []}]}
    body = completion(choice={"logprobs": logprobs}, **{other: logprobs})
    answer = plain_completion.read(body)
    assert answer is not None
    judged = plain_completion.judged(answer, body)
    # Two of the same name are left to the tolerant reader.
    assert (judged is None) is (other == "logprobs")
    if judged is not None:
        assert json.loads(judged[1]) == json.loads(openai.without_logprobs(json.loads(body)))


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.just([]), st.just([{}]))
FIELDS = st.sampled_from(["content", "role", "refusal", "tool_calls", "reasoning", "function_call", "audio", "name"])


@given(st.dictionaries(FIELDS, VALUES, max_size=4), VALUES, VALUES)
def test_both_parsers_agree(message: dict[str, Any], finish_reason: Any, usage: Any) -> None:
    body = completion(message, {"finish_reason": finish_reason}, usage=usage)
    answer = plain_completion.read(body)
    if answer is not None:
        tree, sent = openai.completion_of(body)
        assembly = openai.Assembly()
        assembly.add(tree["choices"][0]["message"], whole=True)
        assembly.end(tree["choices"][0])
        assert sent == body
        assert answer.output == assembly.output
        assert answer.counted == openai.usage_of(tree.get("usage"))


LOGPROB = st.floats(-20, 0.1)
STEP = st.fixed_dictionaries(
    {
        "token": st.sampled_from(["a", "b"]),
        "logprob": LOGPROB,
        "top_logprobs": st.lists(
            st.fixed_dictionaries({"token": st.sampled_from(["a", "b"]), "logprob": LOGPROB}), max_size=3
        ),
    }
)


@given(st.lists(STEP, min_size=1, max_size=4), st.booleans())
def test_both_parsers_give_the_same_signals(steps: list[dict[str, Any]], listed: bool) -> None:
    if listed:
        for step in steps:
            step["top_logprobs"].append({"token": step["token"], "logprob": step["logprob"], "bytes": [97]})
    body = completion(choice={"logprobs": {"content": steps}})
    answer = plain_completion.read(body)
    assert answer is not None
    judged = plain_completion.judged(answer, body)
    assert judged is not None
    assert judged[0] == openai.signals_of(steps)
