"""Hints in error messages."""

from traffic.errors import known_names


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    assert "`user_chars`" in known_names("user_chras", ["system_chars", "user_chars"])


def test_without_a_near_name_only_a_few_are_listed() -> None:
    hint = known_names("zzz", [f"field_{n}" for n in range(30)])
    assert "field_7" in hint
    assert "field_8" not in hint
    assert "22 more" in hint


def test_without_known_names_there_is_no_hint() -> None:
    assert known_names("x", []) == ""
