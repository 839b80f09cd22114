from pipeline.gate.label_groups import COMMON, NEW, RARE, LabelGroups

TRAINED = ["refund"] * 5 + ["parcel"] * 3 + ["invoice"] * 2


def test_labels_that_cover_half_of_the_rows_are_common() -> None:
    groups = LabelGroups(TRAINED, {})
    assert [groups.of(label) for label in ("refund", "parcel", "invoice", "password")] == [COMMON, RARE, RARE, NEW]


def test_named_groups_go_first_and_the_others_keep_theirs() -> None:
    groups = LabelGroups(TRAINED, {"money": ("ref*", "invoice")})
    assert [groups.of(label) for label in ("refund", "invoice", "parcel", "gift")] == ["money", "money", RARE, NEW]


def test_without_training_rows_every_label_is_new() -> None:
    assert LabelGroups([], {}).of("refund") == NEW
