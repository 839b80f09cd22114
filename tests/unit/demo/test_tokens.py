"""Token counts without a tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import tokens


@pytest.mark.parametrize("text, count", [(None, 0), ("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_four_characters_are_a_token(text: str | None, count: int) -> None:
    assert tokens.of_text(text) == count


@given(st.lists(st.text(max_size=50), max_size=4), st.text(min_size=1, max_size=50))
def test_every_message_adds_prompt_tokens(texts: list[str], more: str) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    assert tokens.of_prompt([*messages, {"role": "user", "content": more}]) > tokens.of_prompt(messages) + 4


def test_a_schema_counts_as_input() -> None:
    messages = [{"role": "user", "content": "a"}]
    assert tokens.of_prompt(messages, {"type": "object"}) == tokens.of_prompt(messages, None) + 8 + 5
