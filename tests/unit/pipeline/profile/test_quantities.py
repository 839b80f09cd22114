from pipeline.profile import quantities


def test_numbers_are_not_copied_across_the_borders_of_others() -> None:
    assert quantities.copied_numbers("12", "1 berth and 2 ships") == (1, 0)
    assert quantities.copied_numbers("2026 and 293000", "on 5.2026, berth 29 3000") == (2, 2)
