"""Markdown fences around program text."""

import pytest

from traffic.fences import holds_program, names_program


@pytest.mark.parametrize(
    "text",
    [
        "Why?\n```python\nship = 1\n```",
        "```\nship = 1\n```",
        "```c++\nint ship;",
        "```python ship = 1```",
        "```brainwave\nship = 1\n```",
        "```go\nmoor ship\n```",
        'Given\n```json\n{"a": 1}\n```\nand\n```\nship = 1\n```',
    ],
)
def test_a_fence_without_a_language_of_data_holds_a_program(text: str) -> None:
    assert holds_program(text)


@pytest.mark.parametrize(
    "text",
    [
        "ship = 1",
        '```json\n{"a": 1}\n```',
        '```\n\n{"a": 1}\n```',
        "```\n[1, 2]",
        "```YAML\nship: Alma\n```",
        "```text\nDear crew\n```\n\nBerth 4\n\n```text\nDear mate\n```",
        "```transcript\nHi there.\n```",
        "```Go to the settings page.```",
        "Facts: ```Alma ferry\n- berth 4\n- length 28 m```",
        "Summarise the text in backticks.\n```The crew of Alma (12 people) left at six.```",
        "```\nThe crew left at six, as the mate had asked for.\n```",
    ],
)
def test_data_and_prose_in_a_fence_are_no_program(text: str) -> None:
    assert not holds_program(text)


def test_a_fence_names_a_program_by_its_language() -> None:
    assert names_program(" ```python\nship = 1\n```")
    assert names_program("```json\n[1]\n```\n```python\nship = 1\n```")
    assert not names_program("```\nship = 1\n```")
    assert not names_program("```ship: Alma```")
    assert not names_program("```json\n[1]\n```")
