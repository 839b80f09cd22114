"""Logs whose texts are replaced by meaningless words."""

import json

from benchmarks.disguise import disguised, disguised_line


def test_each_word_has_one_replacement_of_equal_length_and_case() -> None:
    one, two = disguised("Boat boat BOAT 42, a b").split()[:2], disguised("the boat")
    assert one[0] == one[1].capitalize()
    assert one[1] == two.split()[1]
    assert one[1] != "boat"
    assert len(one[1]) == 4


def test_numbers_json_and_fenced_code_are_unchanged() -> None:
    assert list(json.loads(disguised('{"ok": true, "n": [1, 2.5]}')).values()) == [True, [1, 2.5]]
    assert "```\nreturn 1\n```" in disguised("see ```\nreturn 1\n``` there")


def test_lines_that_are_not_json_are_copied() -> None:
    assert disguised_line('{"cut": "of') == '{"cut": "of'


def test_values_copied_from_prompt_to_answer_stay_equal() -> None:
    row = {
        "id": "a",
        "messages": [{"role": "user", "content": "Send it to Ana Ruiz"}],
        "response": {"choices": [{"message": {"content": "Ana Ruiz"}}]},
    }
    hidden = json.loads(disguised_line(json.dumps(row)))
    answer = hidden["response"]["choices"][0]["message"]["content"]
    assert answer != "Ana Ruiz"
    assert hidden["messages"][0]["content"].endswith(answer)
