from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from pipeline.extract.config import ExtractConfig
from pipeline.extract.label_set import discover, discover_set
from tests.fakes.growth import assert_linear
from traffic.callsites import Checks

CONFIG = ExtractConfig()
BULLETS = """Name the topic.

# TOPICS
- brakes
- gears
- opening_hours
- refund
- wheels
- spare_parts

One label only."""
MEANINGS = """Pick one.
1. `brakes` - they squeal
2. `gears` - they jump
3. `opening_hours`: when we are there
4. `refund` (money back)
5. `wheels`
6. `spare_parts`"""


@pytest.mark.parametrize(
    "prompt",
    [
        BULLETS,
        "Topics: brakes, gears, opening_hours, refund, wheels, spare_parts.\nAnswer with one of them.",
        MEANINGS,
        'Use "brakes", "gears", "opening_hours", "refund", "wheels" or "spare_parts".',
        "Topics: brakes | gears | opening_hours | refund | wheels | spare_parts",
        "Give one of: brakes, gears, opening_hours, refund, wheels, or spare_parts",
    ],
    ids=["bullets", "row", "meanings", "quoted", "bars", "last with or"],
)
def test_labels_listed_in_the_prompt_include_unseen_ones(prompt: str) -> None:
    answers = Counter(brakes=40, gears=30, opening_hours=20, refund=1, wheels=1)
    discovered = discover(answers, prompt, CONFIG)
    assert discovered.labels == ("brakes", "gears", "opening_hours", "refund", "spare_parts", "wheels")
    assert discovered.source == "the prompt names 6 labels, 5 of them are in the log"


@pytest.mark.parametrize(
    "prompt",
    [
        'Answer with one topic. Schema: {"enum": ["brakes", "gears", "wheels", "refund", "hours", "parts"]}',
        "Choose one of ['brakes', 'gears', 'wheels', 'refund', 'hours', 'parts'] for the message.",
        "Classify as brakes/gears/wheels/refund/hours/parts.",
        "| topic | meaning |\n|---|---|\n"
        + "\n".join(f"| {word} | a meaning |" for word in ("brakes", "gears", "wheels", "refund", "hours", "parts"))
        + "\nName the topic.",
        "<topics>\n"
        + "\n".join(f"<topic>{word}</topic>" for word in ("brakes", "gears", "wheels", "refund", "hours", "parts"))
        + "\n</topics>\nName the topic.",
        "Antworte mit brakes, gears, wheels, refund, hours oder parts.",
        "a. brakes\nb. gears\nc. wheels\nd. refund\ne. hours\nf. parts\nName the topic.",
        "Respond with one of the following labels: brakes, gears, wheels, refund, hours, parts. No other text.",
        "* bike\n  - brakes\n  - gears\n  - wheels\n* shop\n  - refund\n  - hours\n  - parts",
        "\n".join(f'<label name="{word}"/>' for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")),
        "brakes = squeal; gears = jump; wheels = bent; refund = money; hours = open; parts = spare",
        "Ответьте: brakes, gears, wheels, refund, hours или parts.",
        "i. brakes\nii. gears\niii. wheels\niv. refund\nv. hours\nvi. parts",
        "请选择：brakes、gears、wheels、refund、hours、parts。",
        "次から選択：「brakes」「gears」「wheels」「refund」「hours」「parts」",
        "اختر: brakes، gears، wheels، refund، hours، parts",
        "Topics: brakes + gears + wheels + refund + hours + parts. Name one.",
        "Urgency, lowest first: brakes < gears < wheels < refund < hours < parts",
        "Pick: 1) brakes 2) gears 3) wheels 4) refund 5) hours 6) parts. Write it.",
        "(a) brakes\n(b) gears\n(c) wheels\n(d) refund\n(e) hours\n(f) parts\nName the topic.",
        "topics:\n"
        + "\n".join(
            f"  - name: {word}\n    description: many words on it"
            for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")
        ),
        "\n\n".join(
            f"## {word}\nWhat belongs here." for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")
        ),
        "\n".join(f"{word}\ta meaning" for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")),
        "\n".join(
            f'<label name="{word}">A meaning</label>'
            for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")
        ),
        '{"labels": ['
        + ", ".join(
            f'{{"id": "{word}", "about": "meaning"}}'
            for word in ("brakes", "gears", "wheels", "refund", "hours", "parts")
        )
        + "]}",
    ],
)
def test_an_unseen_label_is_found_in_lists_of_every_form(prompt: str) -> None:
    answers = Counter({"brakes": 20, "gears": 20, "wheels": 20, "refund": 20, "hours": 20, "something else": 3})
    assert discover(answers, prompt, CONFIG).labels == ("brakes", "gears", "hours", "parts", "refund", "wheels")


@pytest.mark.parametrize(
    "prompt",
    [
        "Is it spam, ham or phishing?",
        "- spam: adverts\n- ham: the rest\n- phishing: theft of passwords",
        "| label | use |\n|---|---|\n| spam | adverts |\n| ham | the rest |\n| phishing | theft |",
        "Answer with spam|ham|phishing, in lower case.",
        "One out of {spam, phishing, ham}.",
        "①spam\n②ham\n③phishing\nOne of them.",
        "spam. Adverts\nham. All else\nphishing. Theft of passwords\nOne of them.",
        'One of ["spam", "phishing", "ham"], nothing else.',
    ],
)
def test_an_unseen_label_of_a_short_list_is_found(prompt: str) -> None:
    assert discover(Counter(spam=60, ham=40), prompt, CONFIG).labels == ("ham", "phishing", "spam")


@pytest.mark.parametrize(
    "prompt",
    [
        "Say spam or ham, please.",
        "Is it spam, ham? Then, briefly, why.",
        "Labels:\nspam\nham\n\nOutput:\nOne label.",
        "| label | use |\n|---|---|\n| spam | adverts |\n| ham | rest |",
        "| label | use | more |\n| --- | --- | --- |\n| spam | adverts | x |\n| ham | rest | y |",
        'Labels are "spam" and "ham". Never say "unsure".',
    ],
)
def test_words_beside_a_short_list_are_no_labels(prompt: str) -> None:
    assert discover(Counter(spam=60, ham=40), prompt, CONFIG).labels == ("ham", "spam")


def test_all_grades_of_a_scale_are_labels() -> None:
    answers = Counter({"1": 1, "2": 3, "4": 60, "5": 90})
    assert discover(answers, "Rate it from 1 (bad) to 5 (good).", CONFIG).labels == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize(
    "run",
    [
        *("<a", "a", "a/", "(", "「a", "a, ", "|-", "a. ", "a = ", '<a b="', "yes, no: ", "(yes) ", "\n- no", "1 to "),
        *(" ", "\t", "\u00a0", "| ", ", and "),
    ],
)
def test_a_long_line_is_read_in_linear_time(run: str) -> None:
    def reading(runs: int) -> Callable[[], object]:
        text = f"A line\nyes, no{run * runs}, yes, no"
        return lambda: discover(Counter({"yes": 9, "no": 9}), text, CONFIG)

    assert_linear(reading, 16_000)


def test_a_rare_label_is_one_if_it_stands_in_the_prompt_as_the_others_do() -> None:
    prompt = "Write 0 for ham, 1 for spam and 2 for anything else, as on page 3."
    assert discover(Counter({"0": 90, "1": 60, "2": 1, "3": 1}), prompt, CONFIG).labels == ("0", "1", "2")


LONG_PROMPT = """Reply with exactly one label.

# Rules
- One label, one line.
- Friendly.
- Titles and typos are common.
1. Never explain.

# Labels
- late_parcel
- lost_parcel
- refund
- pin_change
- top_up

# Remarks
- Short: at most one line.
- `late_`: labels of this kind are old.
- pin_change is new, refund is old, typos are common.
Message: where is it
late_parcel
Message: gone
lost_parcel"""


def test_points_below_another_heading_are_no_labels() -> None:
    prompt = "Topics:\n- billing\n- delivery\n- returns\nRules:\n- lowercase\n- concise"
    labels = discover(Counter(billing=50, delivery=30, returns=20), prompt, CONFIG).labels
    assert labels == ("billing", "delivery", "returns")


def test_rare_wrong_answers_that_stand_in_another_list_are_no_labels() -> None:
    prompt = "Topics:\n- billing\n- delivery\n\nFees: on an exchange = billing; on a transfer = billing."
    answers = Counter(billing=1900, delivery=1900, exchange=1, transfer=1)
    assert discover(answers, prompt, CONFIG).labels == ("billing", "delivery")


def test_other_words_of_a_long_prompt_are_no_labels() -> None:
    answers = Counter(late_parcel=90, lost_parcel=60, refund=40, pin_change=1)
    assert discover(answers, LONG_PROMPT, CONFIG).labels == (
        "late_parcel", "lost_parcel", "pin_change", "refund", "top_up",
    )  # fmt: skip


def test_answers_that_explain_a_listed_label_are_no_labels_of_their_own() -> None:
    explained = Counter({"brakes - they squeal": 12, "gears: they jump": 12, "wheels\nThey wobble.": 12})
    found = discover(Counter(brakes=40, gears=30, wheels=20) + explained, BULLETS, CONFIG)
    assert (
        {"brakes", "gears", "wheels"}
        <= set(found.labels)
        <= {"brakes", "gears", "wheels", "opening_hours", "refund", "spare_parts"}
    )


def test_prose_and_invented_labels_are_not_labels() -> None:
    answers = Counter({"brakes": 40, "gears": 30, "Label: gears": 6, "**brakes**": 5, "gear_box": 6})
    assert "gears" in discover(answers, BULLETS, CONFIG).labels
    assert not {"Label: gears", "**brakes**", "gear_box"} & set(discover(answers, BULLETS, CONFIG).labels)


def test_labels_are_found_in_prompts_of_other_languages() -> None:
    prompt = "Ist das ein Wunsch? Antworte mit genau einem Wort: ja oder nein. Früher war auch unklar erlaubt."
    assert discover(Counter(ja=50, nein=40, unklar=2), prompt, CONFIG).labels == ("ja", "nein")


def test_lists_of_other_items_are_not_label_sets() -> None:
    prompt = "Say yes or no.\n- read slowly\n- no slang\n- yes means spam\n- be brief\n- be kind"
    assert discover(Counter(yes=60, no=40), prompt, CONFIG).labels == ("no", "yes")


def test_without_a_list_frequent_short_answers_are_the_labels() -> None:
    answers = Counter({"spam": 900, "ham": 2000, "Answer: ham": 9, "maybe": 2})
    discovered = discover(answers, "Sort the message.", CONFIG)
    assert discovered.labels == ("ham", "spam")
    assert discovered.source == "answers that occur at least 6 times"


def test_free_text_answers_have_no_label_set() -> None:
    discovered = discover(Counter({f"sentence number {n}": 1 for n in range(100)}), BULLETS, CONFIG)
    assert discovered.labels == ()


@given(st.lists(st.text("abcdefgh_", min_size=3, max_size=12), min_size=5, max_size=30, unique=True))
def test_all_bulleted_labels_are_found_if_most_were_seen(labels: list[str]) -> None:
    prompt = "Choose:\n\n" + "\n".join(f"- {label}" for label in labels)
    seen = labels[: max(4, round(len(labels) * 0.8))]
    discovered = set(discover(Counter(dict.fromkeys(seen, 10)), prompt, CONFIG).labels)
    assert set(seen) <= discovered <= set(labels)


def test_spelling_variants_are_one_label_as_written_in_the_prompt() -> None:
    answers = Counter(
        {"refund": 20, "Refund": 90, "refund.": 13, '"refund"': 13, "Delivery": 40, "delivery": 5, "other": 9}
    )
    discovered = discover(answers, "Answer with exactly one of these labels: refund, delivery.", CONFIG)
    assert discovered.labels == ("delivery", "refund")


def test_letters_of_options_are_one_label_with_and_without_brackets() -> None:
    answers = Counter({"a": 20, "(b)": 20, "c)": 20, "A": 20, "b": 20, "c": 20})
    found = discover(answers, "Choose:\n(a) billing\n(b) delivery\n(c) other", ExtractConfig())
    assert found.labels == ("a", "b", "c")


def test_labels_in_tags_and_of_full_width_are_no_labels_of_their_own() -> None:
    answers = Counter({"refund": 40, "<answer>refund</answer>": 10, "other": 30, "ｏｔｈｅｒ": 10})
    assert discover(answers, "Which is it?", CONFIG).labels == ("other", "refund")
    tagged = Counter({"<answer>refund</answer>": 40, "<answer>other</answer>": 30})
    assert discover(tagged, "refund or other?", CONFIG).labels == ("<answer>other</answer>", "<answer>refund</answer>")


def test_labels_that_differ_by_case_in_the_prompt_stay_distinct() -> None:
    prompt = "Which one is meant?\n- US\n- us\n- them"
    assert discover(Counter({"US": 50, "us": 50, "them": 20}), prompt, CONFIG).labels == ("US", "them", "us")


SETS = ["billing", "delivery", "billing, delivery", "delivery, other", "other"] * 30


@pytest.mark.parametrize("prompt", ["Name all topics: billing, delivery, other.", "Name all topics."])
def test_answers_that_combine_labels_are_sets(prompt: str) -> None:
    checks = discover_set(SETS, prompt, CONFIG)
    assert checks is not None
    assert (checks.labels, checks.multiple) == (("billing", "delivery", "other"), "comma")
    listed = discover_set([msgspec.json.encode(text.split(", ")).decode() for text in SETS], prompt, CONFIG)
    assert listed is not None
    assert (listed.labels, listed.multiple) == (("billing", "delivery", "other"), "json")


def test_labels_that_differ_by_case_stay_distinct_behind_a_sentence() -> None:
    assert discover(Counter({"US": 50, "us": 50}), "Reply US or us.", CONFIG).labels == ("US", "us")


def test_labels_side_by_side_in_the_prompt_and_in_an_answer_are_two() -> None:
    answers = ["billing", "billing, delivery", "delivery, other", "other"] * 25
    prompt = "List every topic that applies: billing, delivery, other."
    assert not discover(Counter(answers), prompt, CONFIG).named
    assert discover_set(answers, prompt, CONFIG) == Checks(labels=("billing", "delivery", "other"), multiple="comma")


def test_a_label_with_a_comma_in_it_is_one_label() -> None:
    assert discover_set(["yes, urgent", "no, can wait"] * 50, "Is it urgent?", CONFIG) is None
    assert discover_set([f"a sentence, with a comma {n}" for n in range(90)], "Rewrite.", CONFIG) is None
