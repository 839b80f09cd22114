import random
from collections.abc import Callable

import pytest

from pipeline.profile import answers, listed_items
from tests.fakes.growth import assert_linear


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x + 1",
        "#!/bin/sh\nwhile read a; do\n  echo $a\ndone",
        "SELECT a, count(*)\nFROM t\nGROUP BY a;",
        "```\nanything\n```",
        "function onOpen(door)\n  door.angle = door.angle + 90\n  wait(2)\nend",
        "Sub Tidy()\n  Dim row As Range\n  For Each row In Sheet.Rows\n    row.Delete\n  Next row\nEnd Sub",
        "tar -xzf backup.tgz -C /srv --strip-components=1 | tee log",
        "//deed[@year > 1702]/owner/text()",
        '=SUMIFS(D2:D90,A2:A90,"tea")',
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
        "We looked at three options (a, b and c).",
        "service: mail\nstatus: 200\nduration: 33",
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


def test_an_answer_that_is_nested_too_deep_is_prose() -> None:
    assert answers.structured("[" * 100_000 + "]" * 100_000) is None
    assert not answers.is_object('{"a":' * 100_000 + "1" + "}" * 100_000)


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


def test_lines_of_prose_with_a_heading_each_are_no_record() -> None:
    prose = "the team will meet again as soon as the figures for the last quarter are in"
    assert answers.structured(f"Impact: {prose}\nCause: {prose}") is None


def test_answers_with_the_same_separators_are_records() -> None:
    assert answers.delimited(["AB1; Graz; 20", "CD2; Lyon; 31"]) == [
        {"0": "AB1", "1": "Graz", "2": "20"},
        {"0": "CD2", "1": "Lyon", "2": "31"},
    ]
    assert not any(answers.delimited(["yes; it is", "no", "well; maybe; not"]))


def test_a_verdict_stands_after_the_last_colon_of_an_argument() -> None:
    assert answers.verdict("It came late: see the log. Decision: No refund.") == "no refund"
    assert answers.verdict("It came late and was cold.") == ""


def test_a_label_may_stand_before_its_reason() -> None:
    assert answers.opening("PROBABLE\n\nThe event began a day later.") == "probable"
    assert answers.opening("**Refund** - it came broken") == "refund"
    assert answers.opening("The board agreed to wait until spring. Nobody objected.") == ""


@pytest.mark.parametrize("letter", ["Hi Ana,\n\nthank you", "Dear Ana:\n\nthank you", "Hi Ana!\n\nthank you"])
def test_a_salutation_is_no_label(letter: str) -> None:
    assert answers.opening(letter) == ""


def test_the_label_of_a_json_answer_is_what_stands_beside_its_reason() -> None:
    assert answers.decided_field('{"queue": "billing", "reason": "charged twice"}') == "billing"
    assert answers.decided_field('{"queue": "billing", "reply": "we will look at it"}') == ""


def test_a_sentence_around_several_labels_is_left_out() -> None:
    plain = ["angry", "calm"] * 3
    assert answers.labels([*plain, "The customer feels angry.", "The customer feels calm."]) == [
        *plain,
        "angry",
        "calm",
    ]
    assert answers.labels([*plain, "not angry", "not calm"])[-2:] == ["not angry", "not calm"]


def test_a_long_value_is_copied_only_where_it_stands_in_one_piece() -> None:
    text = "ana will call the vendor on monday. bo asked the board for more money and a new desk by friday."
    assert answers.holds_value("Bo asked the board for more money", text, "")
    assert not answers.holds_value("The board will call Ana and Bo for a desk by Monday", text, "")


def test_a_long_value_is_looked_for_by_its_beginning() -> None:
    draw = random.Random(1)
    text = " ".join("".join(draw.choice("etaoinshr") for _ in range(draw.randint(2, 8))) for _ in range(5000))

    def looking(chars: int) -> Callable[[], object]:
        value, other, given = text[100:chars].replace(" e", " x"), text[-chars:][::-1], text[: 2 * chars]
        return lambda: (answers.holds_value(value, given, ""), answers.holds_value(other, given, ""))

    assert looking(9000)() == (True, False)
    assert_linear(looking, 9000)


def test_fields_with_bars_between_them_are_no_shell_command() -> None:
    assert not answers.is_code("macOS 15 | Firefox | 2.13.1")
    assert answers.is_code("cat access.log | sort | uniq -c")


def test_a_message_holds_code_where_it_brings_a_diff_or_a_fence() -> None:
    assert answers.holds_code("please look\n@@ -3,4 +3,5 @@\n-    a = 1\n+    a = 2")
    assert not answers.holds_code("please look at the letter of 3 May, it is short")


def test_one_tag_around_the_whole_answer_is_no_structure() -> None:
    assert answers.label("<verdict>Hide</verdict>") == "hide"
    assert answers.structured("<minutes>The second shift agreed to wait. Nobody objected.</minutes>") is None
    assert answers.structured("<a>1</a><b>two</b>") == {"a": "1", "b": "two"}


def test_a_number_with_other_spaces_is_the_same_number() -> None:
    assert answers.respaced("DE89370400440532013000", "Please pay to DE89 3704 0044 0532 0130 00, thanks")
    assert not answers.respaced("DE89370400440532013001", "Please pay to DE89 3704 0044 0532 0130 00, thanks")


def test_named_fields_on_one_line_are_a_structure() -> None:
    assert answers.structured("street=Long Lane; number=7") == {"street": "Long Lane", "number": "7"}
    assert answers.structured("```yaml\nstreet: Long Lane\nnumber: 7\n```") == {"street": "Long Lane", "number": "7"}


def test_a_fence_of_a_programming_language_is_no_record() -> None:
    program = "```python\nstreets = rows.groupby('town')\nresult = streets.size()\n```"
    assert answers.structured(program) is None
    assert answers.structured(f"Result: below\nLanguage: Python\n{program}") is None
    assert answers.structured("hotel: Ana | code: AB12") == {"hotel": "Ana", "code": "AB12"}
    assert answers.structured("It is late: we close at nine.") is None


@pytest.mark.parametrize("language", ["json", "javascript", "js", "python", "ndjson"])
def test_json_in_a_fence_is_a_record_whatever_language_the_fence_names(language: str) -> None:
    assert answers.structured(f'```{language}\n{{"a": 1, "b": 2}}\n```') == {"a": 1, "b": 2}


def test_an_answer_that_begins_with_a_definition_is_program_text_whatever_it_explains() -> None:
    text = 'def expand(path):\n    """Return a path.\n\n    Words about it, and more of them.\n    """\n    return path'
    assert answers.is_code(text)


def test_an_example_in_an_explanation_is_no_program() -> None:
    words = "Set the flag in the file and start the service again, then look at its log. " * 3
    assert not answers.is_code(f"{words}\n```\ntool --retry 3\n```")
    assert answers.is_code("Here it is:\n```\nfor f in $(ls *.log); do\n  gzip $f\ndone\n```")


@pytest.mark.parametrize(
    "text, count",
    [
        ("Reply with one word", 4),
        ("खाने के तुरंत बाद", 4),
        ("كلمة واحدة فقط", 3),
        ("今日は散歩", 3),
        ("I paid 500円 today", 5),
    ],
)
def test_lengths_in_words_are_comparable_between_scripts(text: str, count: int) -> None:
    assert answers.word_count(text) == count


def test_words_beside_a_script_without_spaces_stay_whole() -> None:
    assert answers.words("send it to 東京都 today") == ["send", "it", "to", "東京", "京都", "today"]


def test_vowel_signs_are_part_of_their_word() -> None:
    assert answers.words("किसी इंसान से") == ["किसी", "इंसान", "से"]


def test_fields_under_headers_in_double_brackets_are_a_record() -> None:
    answer = "[[ ## Berth ## ]]\n7\n\n[[ ## ship ## ]]\nElin\n\n[[ ## completed ## ]]\n"
    assert answers.structured(answer) == {"berth": "7", "ship": "Elin"}
    assert answers.structured(f"Well.\n{answer}") != {"berth": "7", "ship": "Elin"}


@pytest.mark.parametrize("key", ["arguments", "parameters", "tool_input"])
def test_a_function_is_called_by_a_name_beside_its_arguments(key: str) -> None:
    assert answers.called_functions({"name": "moor", key: {"berth": 7}}) == ["moor"]
    assert answers.called_functions([{"name": "moor", key: {}}, "then", {"name": "pay", key: {}}]) == ["moor", "pay"]
    assert answers.called_functions({"name": "Elin", "berth": 7}) == []
    assert answers.called_functions({"name": 7, key: {}}) == []


@pytest.mark.parametrize(
    "read",
    [
        answers.is_code, answers.holds_code, answers.verdict, answers.opening, answers.structured, answers.label,
        listed_items.lists_options, lambda text: listed_items.option_share(["x"], [text]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("space", ["\n", " \n", " "])
def test_long_runs_of_spaces_are_read_in_linear_time(read: Callable[[str], object], space: str) -> None:
    def reading(spaces: int) -> Callable[[], object]:
        text = "Result:" + space * spaces + "the boat to Alta was late again, and nobody came"
        return lambda: read(text)

    assert_linear(reading, 16_000)


def test_sentences_around_many_labels_are_left_out_in_linear_time() -> None:
    def reading(count: int) -> Callable[[], list[str]]:
        labels = [f"queue{n}" for n in range(count)]
        return lambda: answers.labels([*labels * 3, "it goes to queue7", "it goes to queue9"])

    assert reading(1300)()[-2:] == ["queue7", "queue9"]
    assert_linear(reading, 1300)


def test_a_label_may_stand_before_fields_on_one_line() -> None:
    assert answers.structured("MoorShip|berth=7|hour=six PM") == {"": "MoorShip", "berth": "7", "hour": "six PM"}
    assert answers.structured("the ship left; all is well") is None


@pytest.mark.parametrize(
    "start, field, end", [("x|", "a : b; ", "=="), ("Summary; ", "ab: b; ", "a=b=c"), ("", "a : b; ", "==")]
)
def test_fields_that_do_not_end_well_are_read_in_linear_time(start: str, field: str, end: str) -> None:
    def reading(fields: int) -> Callable[[], object]:
        text = start + field * fields + end
        return lambda: answers.structured(text)

    assert_linear(reading, 20, times=4)


@pytest.mark.parametrize(
    "text, query",
    [
        ("select boats.name where boats.length > 12 order by boats.name", True),
        ("select count ( * ) from boats where harbour_id = 3", True),
        ("DELETE FROM boats WHERE sold = 1", True),
        ("Select the boat that you like from the list and call us.", False),
        ("Update the form where it says so.", False),
        ("Update on your berth: we set the price to 3.5 euros.", False),
        ("Update your details where you signed up, on example.com.", False),
        ("Select the berth from our page example.com.", False),
        ("update boats set sold = 1", True),
    ],
)
def test_a_query_is_program_text_in_lower_case_too(text: str, query: bool) -> None:
    assert answers.is_code(text) is query
