"""Statistics of a shape's requests and answers."""

import random
from functools import partial

import msgspec
import pytest

from pipeline.profile.behaviour import _is_record, behaviour
from pipeline.profile.sample import Sampled
from pipeline.profile.skill import with_skill
from tests.fakes.growth import assert_linear
from traffic.record import Message, Params


def sampled(pairs: list[tuple[str, str]]) -> list[Sampled]:
    return [
        Sampled(
            id=f"r{n}", call_site="a", system_hash=None, at=float(n), messages=(Message(role="user", content=asked),),
            system=None, user=asked, tools=None, response_format=None, params=Params(), answer=answer, tool_calls=0,
            ok=True, output_tokens=9, reasoning_tokens=0, model="m", visibility="unknown",
        )
        for n, (asked, answer) in enumerate(pairs)
    ]  # fmt: skip


def words(draw: random.Random, n: int) -> str:
    return " ".join("".join(draw.choice("abcdefghij") for _ in range(5)) for _ in range(n))


def test_new_sets_of_known_labels_are_not_new_answers() -> None:
    draw = random.Random(1)
    tags = ["cost", "noise", "speed", "looks", "care", "smell", "light"]
    measured = behaviour(sampled([(words(draw, 8), ", ".join(draw.sample(tags, 3))) for _ in range(60)]))
    assert measured.distinct_answers > 25
    assert measured.new_answer_share == 0
    assert measured.common_answer_share == 1


def test_a_message_may_end_with_its_material_in_a_short_line() -> None:
    draw = random.Random(2)
    lines = [
        "The clerk at the counter asked whether all of it was right.",
        "The clerk asked if the guest has any other wish.",
    ]
    pairs = [(f"{draw.choice(lines)}\n> {words(draw, 3)}", draw.choice(["yes", "no"])) for _ in range(60)]
    assert behaviour(sampled(pairs)).bodies_per_answer >= 20


def test_the_verdict_behind_a_reason_is_probed() -> None:
    draw = random.Random(3)
    cues = {"low": "scratch on the lid", "high": "smoke from the plug"}

    def learnt(label_of: str | None) -> float:
        pairs = []
        for _ in range(80):
            cue = draw.choice(list(cues))
            label = cue if label_of is None else draw.choice(list(cues))
            pairs.append(
                (
                    f"{words(draw, 5)} {cues[cue]} {words(draw, 4)}",
                    f"Reason: it says {cues[cue]} and {words(draw, 4)}\nLevel: {label}",
                )
            )
        rows = sampled(pairs)
        return with_skill(behaviour(rows), rows).verdict_skill or 0.0

    assert learnt(None) > 0.8
    assert learnt("by chance") < 0.3


def test_the_one_value_that_varies_in_structured_answers_is_measured_alone() -> None:
    draw = random.Random(4)
    totals = [str(draw.randint(100, 999)) for _ in range(40)]
    measured = behaviour(sampled([(words(draw, 9), f'{{"total": {total}, "unit": "kg"}}') for total in totals]))
    assert measured.single_value
    assert not measured.is_record
    assert measured.number_share == 1
    assert measured.json_share == 1, "the checks of the registry are about the whole answer"


def test_how_sure_an_answer_is_is_not_what_it_says() -> None:
    draw = random.Random(5)
    labels = ["late", "broken", "lost"]
    pairs = [
        (words(draw, 9), f'{{"topic": "{draw.choice(labels)}", "confidence": {draw.random():.2f}}}') for _ in range(60)
    ]
    measured = behaviour(sampled(pairs))
    assert measured.single_value
    assert measured.distinct_answers == 3


def test_many_labels_in_a_field_are_a_closed_set_and_names_are_not() -> None:
    draw = random.Random(6)
    labels = [words(draw, 1) for _ in range(90)]

    def closed(second: list[str]) -> float:
        pairs = [
            (words(draw, 9), f'{{"topic": "{draw.choice(labels)}", "of": "{draw.choice(second)}"}}') for _ in range(500)
        ]
        return behaviour(sampled(pairs)).closed_value_share

    assert closed(["us", "them"]) == 1
    assert closed([words(draw, 1) for _ in range(5000)]) == 0.5


def test_the_answer_that_nothing_was_found_hides_nothing() -> None:
    draw = random.Random(7)
    pairs = [
        (f"{words(draw, 5)} {value}", f'{{"of": "{value}", "to": "x"}}')
        for value in (words(draw, 1) for _ in range(40))
    ]
    measured = behaviour(sampled([*pairs, *((words(draw, 6), "none") for _ in range(60))]))
    assert measured.json_share == 1
    assert measured.copied_word_share >= 0.25


def test_new_words_are_in_neither_the_message_nor_other_answers() -> None:
    draw = random.Random(8)
    copied = [(f"{words(draw, 5)} {value}", f"name {value}") for value in (words(draw, 1) for _ in range(40))]
    assert behaviour(sampled(copied)).new_word_share == 0
    assert behaviour(sampled([(words(draw, 5), f"name {words(draw, 1)}") for _ in range(40)])).new_word_share == 0.5


def test_an_option_may_be_chosen_by_its_text() -> None:
    draw = random.Random(9)
    pairs = []
    for _ in range(40):
        options = [words(draw, 2) for _ in range(4)]
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        pairs.append((f"{words(draw, 6)}?\n{listed}", draw.choice(options)))
    assert behaviour(sampled(pairs)).option_share == 1


def test_the_arguments_of_a_forced_call_are_its_answer() -> None:
    [asked] = sampled([("find the error", "")])
    call = msgspec.structs.replace(asked, tools=[{"function": {"name": "report"}}], tool_calls=1)
    forced = msgspec.structs.replace(call, arguments='{"file": "a.py"}').with_arguments()
    assert (forced.answer, forced.tools, forced.tool_calls) == ('{"file": "a.py"}', None, 0)
    assert call.with_arguments() == call


def test_messages_that_recombine_a_few_words_have_no_new_ones() -> None:
    draw = random.Random(9)
    few = [(" ".join(draw.choices(["not", "true", "false", "and", "or"], k=7)), "yes") for _ in range(60)]
    assert behaviour(sampled(few)).new_message_word_share == 0
    assert behaviour(sampled([(words(draw, 7), "yes") for _ in range(60)])).new_message_word_share > 0.9


def test_an_instruction_that_is_longer_than_its_material_hides_no_different_messages() -> None:
    draw = random.Random(4)
    asked = "\n\nJSON: sentiment pos, neg or mixed; aspects out of price, story, servers, graphics and performance"
    pairs = [(words(draw, 3) + asked, draw.choice(["pos", "neg"])) for _ in range(60)]
    assert behaviour(sampled(pairs)).bodies_per_answer >= 20


def test_one_message_under_changing_headers_is_one_body() -> None:
    draw = random.Random(5)
    asked = "The clerk asks for three reasons to close the counter before noon on a day of rain."
    assert behaviour(sampled([(f"{words(draw, 2)}\n{asked}", "no") for _ in range(60)])).bodies_per_answer == 1


def test_letters_are_counted() -> None:
    draw = random.Random(6)
    letters = [(words(draw, 9), f"Dear {words(draw, 1)},\n\n{words(draw, 12)}.") for _ in range(30)]
    replies = [(words(draw, 9), f"Sure, here you go!\n\n{words(draw, 12)}.") for _ in range(10)]
    assert behaviour(sampled(letters + replies)).letter_share == 0.75


def test_lines_of_a_few_keys_are_records_also_where_an_answer_has_one_line() -> None:
    parts = [("berth", "7"), ("ship", "Elin"), ("hour", "six")]
    pairs = [
        (f"note {n}", "\n".join(f"{key}: {value} {n}" for key, value in parts[n % 3 : n % 3 + 1 + n % 2]))
        for n in range(40)
    ]
    measured = behaviour(sampled(pairs))
    assert measured.json_share == 1.0
    assert set(measured.keys) == {"berth", "ship", "hour"}


def test_sentences_with_a_colon_are_no_records() -> None:
    draw = random.Random(3)
    pairs = [(words(draw, 9), f"{words(draw, 1)}: {words(draw, 6)}") for _ in range(40)]
    assert behaviour(sampled(pairs)).json_share == 0.0


def test_functions_that_answers_call_in_text_are_counted() -> None:
    calls = [(f"ask {n}", f'{{"name": "f{n % 3}", "arguments": {{"berth": {n}}}}}') for n in range(30)]
    assert behaviour(sampled(calls)).called_functions == 3
    assert behaviour(sampled(calls)).several_calls_share == 0
    lists = [(asked, f"[{call}, {call}]") for asked, call in calls]
    assert behaviour(sampled(lists)).called_functions == 3
    assert behaviour(sampled(lists)).several_calls_share == 1
    forms = [(f"ask {n}", f'{{"name": "Elin {n}", "berth": {n}}}') for n in range(30)]
    assert behaviour(sampled(forms)).called_functions == 0


def test_a_template_around_the_material_counts_neither_as_words_nor_as_numbers() -> None:
    pairs = [(f"Put it in the form 12/34, at most 56 signs.\nship{n}", f"SHIP {n}") for n in range(30)]
    measured = behaviour(sampled(pairs))
    assert (measured.user_words_p50, measured.user_numbers_p50) == (1, 1)
    data = behaviour(sampled([(f"berth: {n}\nhour: {n % 24}", "ok") for n in range(30)]))
    assert data.user_numbers_p50 == 2


def test_numbers_in_answers_are_copied_with_whatever_separators() -> None:
    copied = behaviour(sampled([(f"pay 1,2{n:02} on the 3.4.", f"12{n:02} by 3") for n in range(30)]))
    assert (copied.numbered_share, copied.copied_number_share) == (1.0, 1.0)
    worked_out = behaviour(sampled([(f"twice {n}", f"{2 * n + 5000}") for n in range(30)]))
    assert worked_out.copied_number_share == 0.0


def test_points_that_are_listed_are_facts() -> None:
    listed = "- moored at six\n- no pilot\n- crew of {n}"
    assert behaviour(sampled([(listed.format(n=n), "go") for n in range(30)])).fact_list_share == 1.0
    assert behaviour(sampled([(f"moored at {n}, no pilot", "go") for n in range(30)])).fact_list_share == 0.0


def test_a_label_with_a_remark_is_read_also_where_the_answer_is_short() -> None:
    draw = random.Random(5)
    pairs = [(words(draw, 6), f"{('Yes', 'No')[n % 3 == 0]} - {words(draw, 3)}") for n in range(60)]
    assert behaviour(sampled(pairs)).verdict_share == 1.0
    plain = [(words(draw, 6), ("Yes", "No")[n % 3 == 0]) for n in range(60)]
    assert behaviour(sampled(plain)).verdict_share == 0.0


def test_paragraphs_of_a_message_stay_apart_without_its_template() -> None:
    draw = random.Random(2)
    lines = ("The mate measured the berth for the third time.", "The pilot agreed to wait without a clear order.")
    pairs = []
    for _ in range(30):
        log = "\n".join(f"{draw.choice(('Elin', 'Omar'))} {words(draw, 1)}: {draw.choice(lines)}" for _ in range(5))
        pairs.append((f"The end of a watch.\n\n{log}\nHarbour: {words(draw, 2)}\n\nWas the ship moored?", "yes"))
    assert behaviour(sampled(pairs)).puzzle_share == 0.0


def test_a_template_in_the_users_message_is_worded_like_the_same_system_prompt() -> None:
    draw = random.Random(3)
    rules = "\n".join(f"- must not hold {word} or ask the crew for {word}" for word in words(draw, 12).split())
    asked = f"Check if what the guest wrote below keeps to the house rules of the ferry.\n\nHouse rules:\n{rules}\n\n"
    end = "\n\nQuestion: Should what the guest wrote be held back (Yes or No)?\nAnswer:"
    measured = behaviour(sampled([(f"{asked}Guest: {words(draw, 5)}{end}", "No") for _ in range(30)]))
    assert "reasoning" not in measured.wording


def test_answers_to_other_questions_on_the_same_text_are_no_candidates() -> None:
    draw = random.Random(11)
    names = [words(draw, 1) for _ in range(40)]
    texts = [f"{words(draw, 9)} {' '.join(names[4 * n : 4 * n + 4])} {words(draw, 9)}" for n in range(10)]
    asked = [(f"{text}\n{words(draw, 3)}?", name) for n, text in enumerate(texts) for name in names[4 * n : 4 * n + 4]]
    assert behaviour(sampled(asked * 2)).candidates_p50 == 0
    puzzles = [(f"{words(draw, 4)} {' '.join(draw.sample(names[:5], 3))}", draw.choice(names[:5])) for _ in range(60)]
    assert behaviour(sampled(puzzles)).candidates_p50 == 3


def test_a_statement_in_the_words_of_its_text_is_measured() -> None:
    draw = random.Random(13)
    texts = [words(draw, 20) for _ in range(20)]
    claims = [(f"{text}.\n{' '.join(text.split()[3:9])}.", draw.choice(("right", "wrong"))) for text in texts]
    assert behaviour(sampled(claims)).restated_share == 1
    assert behaviour(sampled([(text, "right") for text in texts])).restated_share == 0


def test_a_question_on_a_text_begins_or_ends_it() -> None:
    draw = random.Random(12)
    forms = (
        "{text}. {asked}?",
        '{{"text": "{text}",\n"asked": "{asked}?"}}',
        "{text}\n\nQuestion: {asked}?",
        "{asked}？\n{text}",
        "Text:\n{text}\nAsked:\n“{asked}?”",
    )
    for form in forms:
        rows = [(form.format(text=words(draw, 30), asked=words(draw, 4)), words(draw, 2)) for _ in range(20)]
        assert behaviour(sampled(rows)).text_question_share == 1
    mails = [(f"{words(draw, 5)}\n{words(draw, 4)}?\n{words(draw, 3)}", words(draw, 1)) for _ in range(20)]
    assert behaviour(sampled(mails)).text_question_share == 0


def test_an_edit_is_compared_with_the_message_without_its_template() -> None:
    draw = random.Random(13)
    task = "Correct the spelling, the punctuation and the grammar of this sentence and change nothing else at all:"
    texts = [words(draw, 8) for _ in range(30)]
    measured = behaviour(sampled([(f"{task}\n{text}", f"{text}.") for text in texts]))
    assert measured.edit_likeness > 0.95


def test_a_conclusion_may_be_the_last_sentence() -> None:
    draw = random.Random(14)
    pairs = [(words(draw, 8), f"{words(draw, 12)}. So the answer is {draw.choice(['yes', '3.5'])}.") for _ in range(40)]
    assert behaviour(sampled(pairs)).verdict_share == 1


def test_a_bare_question_is_the_whole_message() -> None:
    draw = random.Random(15)
    for form, share in (
        ("{a}?", 1),
        ("{a}？", 1),
        ("Q: {a}?", 1),
        ("{a}? {b}?", 0),
        ("{a}.\n{b}?", 0),
        ("Fact: {a}. Asked: {b}?", 0),
        ("{a}.", 0),
        ("{long} {a}?", 0),
    ):
        rows = [
            (form.format(a=words(draw, 6), b=words(draw, 5), long=words(draw, 30)), draw.choice(("yes", "no")))
            for _ in range(20)
        ]
        assert behaviour(sampled(rows)).bare_question_share == share, form


def test_a_message_may_be_a_record() -> None:
    draw = random.Random(16)
    for form, share in (
        ("inform(name='{a}', area={b})", 1),
        ("name[{a}], area[{b}]", 1),
        ("{a} | lives in | {b}", 1),
        ('{{"name": "{a}", "area": "{b}"}}', 1),
        ("We met {a} in {b} (on Monday), and it rained.", 0),
        ("Text: {a} and {b} came too late for the boat to Alta\nTone: formal", 0),
    ):
        rows = [(form.format(a=words(draw, 1), b=words(draw, 1)), words(draw, 8)) for _ in range(20)]
        assert behaviour(sampled(rows)).record_message_share == share, form


@pytest.mark.parametrize("run", ["a", "a[", "a [", "a(", "a | "])
def test_a_message_is_read_as_a_record_in_linear_time(run: str) -> None:
    assert_linear(lambda runs: partial(_is_record, run * runs), 20_000)
