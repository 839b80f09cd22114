import pytest

from pipeline.profile import answers


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x + 1",
        "#!/bin/sh\nwhile read a; do\n  echo $a\ndone",
        "SELECT a, count(*)\nFROM t\nGROUP BY a;",
        "```\nanything\n```",
        "items.filter(i => i.ok && i.n >= 3)\n  .map(i => ({id: i.id, n: i.n}));",
    ],
)
def test_program_text_is_seen_in_any_language(text: str) -> None:
    assert answers.is_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "Dear Ms Vidal, thank you for your letter (ref. 77).\nWe will call you on Monday.",
        "- Budget: agreed\n- Launch: open; see the notes from Tuesday",
        '{"a": [1, 2, {"b": "c"}],\n "d": "e"}',
        "12",
    ],
)
def test_prose_lists_and_json_are_no_program_text(text: str) -> None:
    assert not answers.is_code(text)


def test_json_lines_and_tags_are_structured_answers() -> None:
    assert answers.structured('Sure: {"a": "x y z and more", "b": 2}') == {"a": "x y z and more", "b": 2}
    assert answers.structured("```json\n[1, 2]\n```") == [1, 2]
    assert answers.structured("Name: Ana\nPort: Alta") == {"name": "Ana", "port": "Alta"}
    assert answers.structured("<r><port>Alta</port></r>") == {"port": "Alta"}
    assert answers.structured("We sail at noon.") is None


def test_a_label_is_read_without_what_stands_around_it() -> None:
    assert {answers.label(text) for text in ("Late", "late.", '"late"', "Answer: late", "The label is: late")} == {
        "late"
    }


def test_a_value_counts_as_copied_whatever_its_case_and_separators() -> None:
    text = "please bill ana ruiz 1,200.50 on 3 may"
    digits = "1200503"
    assert answers.holds_value("Ana Ruiz", text, digits)
    assert answers.holds_value(1200.5, text, "120050" + "3") or answers.holds_value("1200.50", text, digits)
    assert not answers.holds_value("Bo Lind", text, digits)
    assert not answers.holds_value(True, text, digits)
