"""Detection of different answer forms in two groups."""

from pipeline.profile.answer_forms import distinct_forms, form_of

TRAYS = ["late", "money", "bags", "late"] * 5
MOODS = ["calm", "angry"] * 10
SLIPS = ['{"name": "Ana", "ref": 1}', '{"name": "Bo", "ref": 2}']
BILLS = ['{"payer": "Ana", "lines": []}'] * 4
NOTES = ["We will arrive at nine with the dog and two children."] * 4
LETTERS = [" ".join(["We are sorry that the boat left the pier without you."] * 6)] * 4


def test_label_sets_records_and_texts_of_other_lengths_are_other_forms() -> None:
    assert distinct_forms([TRAYS, MOODS, SLIPS, BILLS, NOTES, LETTERS]) == 6


def test_the_same_labels_keys_or_lengths_are_one_form() -> None:
    assert distinct_forms([TRAYS, ["money", "late", "bags"] * 3]) == 1
    assert distinct_forms([SLIPS, ['{"name": "Cem", "ref": 9}'] * 3]) == 1
    assert distinct_forms([NOTES, ["The crew will meet you at the gate of the old harbour."] * 4]) == 1


def test_a_group_with_one_label_is_no_label_set_of_its_own() -> None:
    assert distinct_forms([["late"] * 9, ["money"] * 9, ["bags"] * 9]) == 1


def test_short_answers_without_a_label_set_and_numbers_are_one_form_with_labels() -> None:
    assert not form_of([f"Ferry {n} to Alta" for n in range(9)]).differs(form_of(TRAYS))
    assert not form_of(["3", "4", "3", "4"]).differs(form_of(["7", "9", "7", "9"]))
