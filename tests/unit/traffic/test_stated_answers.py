"""What instructions state about their answers: options, fields, a number, a text."""

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.growth import assert_linear
from traffic.phrases import signs
from traffic.stated_answers import (
    _BEFORE_ORDER,
    _ITEM_LINE,
    _NOT_IN_FORCE,
    _SHORT_ITEMS,
    _begins_sentence,
    is_only_contract,
    lists_many,
    names_fields,
    states_options,
    states_rating,
    states_scale,
    without_records,
)


@pytest.mark.parametrize(
    "text",
    [
        "Mood of the crew: calm, tense or angry.",
        "Say buoy or wreck.",
        "<labels>late_tug,lost_crate,other</labels>",
        "Pick one of red, green, blue. Nothing else.",
        "Include or exclude?",
        "File the note. LOG / PERMIT / INVOICE / OTHER",
        "kind: tug | ferry | barge",
        "Which berth gets the ship? North, South, Repair. Nothing else.",
        "Cargo in the note (grain, ore, timber)?",
        "Types:\n- tug\n- ferry\n- barge\n",
        "A line 'Reason: x' with x in late, broken, lost.",
        "items: box.lost, box.found, bag.lost, bag.found, car.lost, car.found, dog.lost, dog.found",
        "A note of the harbour.\nWhich of these is it:\n  calm or tense",
        "From the mate of a tug. Is it <late> or <early>?",
        "Worum geht es? Liegeplatz, Zoll oder Lotse",
        "Is het schip te laat of op tijd? Antwoord met een woord: laat of optijd.",
        "Choose the kind of damage and answer with: hull, cargo, crew, quay.",
        "Pick the status with the best fit: moored, waiting, under way.",
        "Kinds of rope:\nshort | long | wet\ndry | old | new",
        "The mood of the lines (calm | tense | angry)",
        "Tag the records (paid | open | late).",
        "Say one or two.",
        "Which berth gets the records (north | south | repair)?",
        "State of the rope, one per line: open | held | closed",
        "Route the mail.\nnorth | south | repair\nfuel | crew | other",
        "Kinds of rope:\n\nshort | long | wet\ndry | old | new",
    ],
)
def test_enumerated_answers_are_options(text: str) -> None:
    assert states_options(text.lower())


@pytest.mark.parametrize(
    "text",
    [
        "Write to the crew, the agent and the office.",
        "Answer in German or English.",
        "Outline the report: weather, cargo, crew.",
        "Dates are YYYY/MM/DD.",
        "Files lie under src/harbour/berths.",
        "Columns: tug;trips;late;median delay;change of median",
        "You help the crews of all teams with anything: charts, letters, plans, questions.",
        "Give the remedy as one or two plain sentences.",
        "Le remède, en texte : deux ou trois lignes courtes.",
        "Say the facts (who | what | value) in a sentence.",
        "Texts for the pier (ship | property | value, one a line).",
        "- inform | berth | north\n- request | name | none",
    ],
)
def test_other_enumerations_are_no_options(text: str) -> None:
    assert not states_options(text.lower())


def test_many_fields_without_an_end_are_read_fast() -> None:
    text = "the records (" + "a | " * 5000
    assert without_records(text) == text


@pytest.mark.parametrize("run", ["the records (a | b | c) ", "(a | b | c)", "each line a | b | c. ", "a | b | c\n"])
def test_many_records_are_read_in_linear_time(run: str) -> None:
    assert_linear(lambda runs: partial(without_records, run * runs), 1600)


@pytest.mark.parametrize(
    "text", ["never say yes or no.", "do not output red, green or blue.", "if the mate is angry, say calm or tense."]
)
def test_options_that_are_forbidden_or_for_one_case_are_none(text: str) -> None:
    assert not states_options(text)


@pytest.mark.parametrize(
    "text",
    [
        'mail -> JSON {"ship": str, "eta": "YYYY-MM-DD"}',
        "Return JSON with ship, berth and draught.",
        "Pull out ship, berth and draught. Respond with JSON.",
        "All cargo codes of the note as a JSON array.",
    ],
)
def test_json_with_named_values_names_fields(text: str) -> None:
    assert names_fields(text.lower())


def test_json_with_prose_or_without_named_values_names_no_fields() -> None:
    assert not names_fields('reply as json {"answer": str, "sources": [int]}')
    assert not names_fields("respond with json.")
    assert not names_fields('respond with json:\n{\n"ship": str,\n"summary": str\n}')


def test_an_order_begins_a_sentence_and_is_for_more_than_a_label() -> None:
    assert "order" in signs("harbour office. draft the letter.")
    assert "order" not in signs("masters write in any language. sort the mail.")
    assert "order" not in signs("write the category.")
    assert "order" in signs("sort the mail and then write a reply")
    assert "order" not in signs("write nothing that the crew must not see.")
    assert "order" in signs("  draft the letter.")


def test_a_sentence_may_order_to_judge_plan_or_calculate() -> None:
    assert "analysis" in signs("review this lease for risks to the tenant.")
    assert "analysis" in signs("you are an auditor. compare the two offers and estimate the savings.")
    assert "analysis" in signs("find out why the totals disagree.")
    assert "analysis" in signs("bewerte nichts voreilig. analysiere den bericht.")
    assert "analysis" in signs("solve for x.")
    assert "analysis" not in signs("customers compare prices and reviewers review the shop.")


@pytest.mark.parametrize(
    "text",
    [
        "review: great shoes. plan: free. forecast rain.",
        "plane tickets and a hotel.",
        "valuta: eur.",
        "review from the customer",
        "forecast for the day",
        "design from the 1950s",
        "analyse: third quarter",
        "analyse der zahlen",
        "diagnose inklusive",
        "vergleiche mit dem vorjahr",
        "the parcel is late, please advise.",
        "- compare offers politely.",
    ],
)
def test_a_noun_that_looks_like_a_verb_is_no_order(text: str) -> None:
    assert {"analysis", "order"}.isdisjoint(signs(text))


@pytest.mark.parametrize(
    "text", ["plane die reise.", "valuta la richiesta.", "vergleiche beide angebote.", "analyse le contrat."]
)
def test_an_ambiguous_verb_orders_what_an_article_follows(text: str) -> None:
    assert "analysis" in signs(text)


@pytest.mark.parametrize(
    "text",
    [
        "if the order is late, then calculate the refund.",
        "in case the order is late, estimate the refund.",
        "in cases where the order is late, estimate the refund.",
        "as soon as the order arrives, write a reply.",
        "do not guess and then calculate the refund.",
        "until version 3 you had to sort and then explain the label.",
        "topics:\n- calculate\n- translate\n- other",
    ],
)
def test_an_order_that_is_negated_conditional_past_or_an_item_is_not_in_force(text: str) -> None:
    assert {"analysis", "order"}.isdisjoint(signs(f"sort the mail. {text}"))


def test_an_order_may_name_the_past() -> None:
    assert "order" in signs("sort the mail. - draft a reply to the earlier letter.")
    assert "analysis" in signs("sort the mail.\n- analyse why the crew is no longer aboard.")


def test_an_order_may_follow_an_introduction() -> None:
    assert "analysis" in signs("as our pharmacist, judge the regimen for interactions.")
    assert "order" in signs("from the bullet points, draft a post.")
    assert "order" not in signs("the customers call, write and visit us.")


def test_an_instruction_of_nothing_but_the_form_of_the_answer_is_only_a_contract() -> None:
    assert is_only_contract("reply with the letter only.")
    assert is_only_contract("antworte nur mit ja oder nein.")
    assert not is_only_contract("is the ship late? yes or no.")


def test_a_scale_has_limits_or_is_called_a_rating() -> None:
    assert states_scale("1-5, number only")
    assert states_scale("rate the berth. number only.")
    assert not states_scale("what is owed? number only.")
    assert not states_scale("today is 2026-11-29. what is owed? number only.")
    assert not states_scale("delivery takes 3 to 5 days. what is owed? number only.")


def test_many_are_eight_short_items_or_more() -> None:
    names = [f"label_{letter}" for letter in "abcdefgh"]
    assert lists_many("labels:\n- " + "\n- ".join(names))
    assert lists_many("labels: " + ", ".join(names))
    assert lists_many("labels: " + " | ".join(names))
    assert not lists_many("labels:\n- " + "\n- ".join(names[:7]))
    assert not lists_many("rules:\n- " + "\n- ".join(f"{name} is only for ships at anchor" for name in names))


def test_a_long_list_of_what_to_consider_is_no_list_of_labels() -> None:
    names = [f"part_{letter}" for letter in "abcdefghij"]
    assert not lists_many("is the note a complaint? consider: " + ", ".join(names))
    assert not lists_many("is the note a complaint? consider:\n- " + "\n- ".join(names))


@pytest.mark.parametrize(
    "text", ["rate the berth from 1 to 5", "mark 1-10 as a number", "bewerte den bericht von 1 bis 10"]
)
def test_a_rating_names_its_limits(text: str) -> None:
    assert states_rating(text, 0)


@pytest.mark.parametrize("text", ["rate the berth", "market opens from 9 to 17", "grade it. open 9 to 17."])
def test_a_word_of_ratings_without_limits_is_none(text: str) -> None:
    assert not states_rating(text, 0)


@given(st.lists(st.sampled_from(["\n", " ", "- ", "* ", "1. ", "2) ", "\t", "• ", "a", "b c", "`"]), max_size=40))
def test_short_items_begin_lines(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert _SHORT_ITEMS.search(text) is None or len(_ITEM_LINE.findall(text)) >= 8


@given(
    st.lists(st.sampled_from(["never ", "if ", "x", ". ", "!", "; ", "\n", " ", "- ", "no ", "be ", "1"]), max_size=12)
)
def test_what_is_not_in_force_is_left_out_from_the_beginning_of_its_sentence(pieces: list[str]) -> None:
    text = "".join(pieces)
    behind = re.compile(_NOT_IN_FORCE.pattern.replace(r"([.!?;\n](?:(?<=\n)| ))", r"(?:^|(?<=[.!?;] )|(?<=\n))"))
    assert behind.pattern != _NOT_IN_FORCE.pattern
    assert _NOT_IN_FORCE.sub(r"\1 ", f"\n{text}")[1:] == behind.sub(" ", text)


@given(st.lists(st.sampled_from([*_BEFORE_ORDER, "x", "_", " ", "-", "task is ", "is to "]), min_size=1, max_size=4))
def test_a_word_before_an_order_is_a_whole_word(pieces: list[str]) -> None:
    text = "a " + "".join(pieces)
    words = "|".join(word.strip() for word in _BEFORE_ORDER)
    ended = text.rstrip().endswith(("-", ":"))
    assert _begins_sentence(f"{text}x", len(text)) == (ended or re.search(rf"\b(?:{words}) \Z", text) is not None)
