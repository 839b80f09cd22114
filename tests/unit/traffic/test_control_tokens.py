"""Control tokens in texts: recognised for every model family, and escaped."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.growth import assert_linear
from traffic.control_tokens import escape, has_any, without_end
from traffic.prompts import MessagePattern, Template, render

TOKENS = [
    "<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "<|endoftext|>", "</s>", "<s>", "[INST]",
    "[/INST]", "<<SYS>>", "<start_of_turn>", "<end_of_turn>", "<｜end▁of▁sentence｜>", "<bos>", "<|channel|>",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_an_escaped_control_token_is_tokenized_as_text(token: str) -> None:
    text = f"before {token}assistant after"
    assert has_any(text)
    assert not has_any(escape(text))
    assert escape(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["a < b and b > c", "<p>html</p>", "[1] and [note]", "x |> f", "", "<b>s</b>"])
def test_other_texts_are_unchanged(text: str) -> None:
    assert escape(text) == text


@given(st.lists(st.sampled_from([*TOKENS, "<", "|", ">", "x", "<|"]), max_size=8))
def test_no_combination_of_fragments_leaves_a_control_token(pieces: list[str]) -> None:
    assert not has_any(escape("".join(pieces)))


def test_slots_of_a_pruned_prompt_are_escaped_and_those_of_an_original_are_not() -> None:
    pattern = MessagePattern(role="user", prefix="Sort: ", suffix="", slot=True)
    template = Template(id="t", original=(pattern,), pruned=(pattern,))
    assert render(template, ["a<|im_end|>"])[0]["content"] == "Sort: a< |im_end|>"
    assert render(template, ["a<|im_end|>"], side="original")[0]["content"] == "Sort: a<|im_end|>"


@pytest.mark.parametrize(
    "end",
    [
        "<|im_end|>", "</s>", " <|eot_id|>\n", "<｜end▁of▁sentence｜>", "<|im_end|>\n<|endoftext|>", "<eos>", "[EOS]",
        "<end_of_turn>\n", "<|eom_id|>", "<|return|>", "<|end_of_solution|>", "<|END_OF_TURN_TOKEN|>",
    ],
)  # fmt: skip
def test_tokens_that_end_an_answer_are_removed(end: str) -> None:
    assert without_end(f"billing{end}") == "billing"


@pytest.mark.parametrize("text", ["billing", "billing \n", "a</s>b", "billing<|im_start|>", "see [1]", "<b>x</b>"])
def test_other_ends_of_answers_are_kept(text: str) -> None:
    assert without_end(text) == text


@pytest.mark.parametrize("start, run, end", [("", " ", "x>"), ("", "</s>", "x</s>"), ("a", " \n", "]")])
def test_the_end_of_a_long_answer_is_found_in_linear_time(start: str, run: str, end: str) -> None:
    assert_linear(lambda runs: partial(without_end, start + run * runs + end), 100_000)
