"""Places of tags: order, fallbacks, text that holds JSON."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.consent_words import consent_of
from pipeline.ingest.mapping import FeedbackPlaces, TagMapping
from pipeline.ingest.tags import TagReader


def tags(tree: dict[str, Any], **fields: Any) -> Any:
    return TagReader(TagMapping(**fields)).read(tree)


def test_the_first_place_with_a_value_wins() -> None:
    assert tags({"a": None, "b": {"c": "x"}, "d": "y"}, user_id=("a", "b.c", "d")).user_id == "x"


def test_a_list_item_is_found_by_its_prefix() -> None:
    assert tags({"t": ["env:prod", "plan:pro"]}, cohort={"plan": ("t[plan:]",)}).cohort == {"plan": "pro"}
    assert tags({"t": '["plan:pro"]'}, cohort={"plan": ("t[plan:]",)}).cohort == {"plan": "pro"}


def test_json_inside_text_is_opened_on_the_way() -> None:
    assert tags({"m": '{"a": {"b": "x"}}'}, user_id=("m.a.b",)).user_id == "x"
    assert tags({"m": "{broken"}, user_id=("m.a.b",)).user_id is None


def test_the_one_of_call_site_and_feature_that_is_there_is_both() -> None:
    read = tags({"f": "x"}, feature=("f",), call_site=("c",))
    assert (read.call_site, read.feature) == ("x", "x")
    read = tags({"f": "x", "c": "y"}, feature=("f",), call_site=("c",))
    assert (read.call_site, read.feature) == ("y", "x")


def test_a_null_cohort_is_absent() -> None:
    assert tags({"p": None, "q": ""}, cohort={"plan": ("p",), "size": ("q",), "kind": ("r",)}).cohort == {}


def test_read_times_tell_unread_from_untracked() -> None:
    places = ("consumed_at",)
    assert tags({"consumed_at": None}, consumed_at=places).consumed_at is None
    assert tags({}, consumed_at=places).consumed_at is msgspec.UNSET
    read = tags({"consumed_at": "2026-01-01T01:00:00+01:00"}, consumed_at=places).consumed_at
    assert read == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["consumed_at", "readAt", "viewed_at", "Opened-At"])
def test_read_times_have_several_names(name: str) -> None:
    read = tags({"tags": {name: "2026-01-01T00:00:00Z"}}, tags_under=("tags",))
    assert read.consumed_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_environment_without_users_is_a_cohort() -> None:
    reader = TagReader(TagMapping(tags_under=("tags",), cohort={"environment": ("environment",)}))
    assert reader.read({"environment": "production"}).cohort == {}
    assert reader.read({"environment": "eu-west"}).cohort == {}
    assert reader.read({"environment": "Staging"}).cohort == {"environment": "staging"}
    for listed in (["env:staging"], {"Environment": "staging"}, {"deployment.environment": "staging"}):
        assert reader.read({"tags": listed}).cohort == {"environment": "staging"}


@pytest.mark.parametrize(
    "written,thumb",
    [
        ("up", "up"),
        ("thumbs_down", "down"),
        (1, "1"),
        (-1.0, "-1"),
        ("0", "0"),
        ("👎", "down"),
        (True, "up"),
        (False, "down"),
        ("?", None),
    ],
)
def test_thumbs_are_words_or_numbers_whose_scale_is_not_known_yet(written: Any, thumb: str | None) -> None:
    feedback = tags({"t": written}, feedback=FeedbackPlaces(thumb=("t",))).feedback
    assert (feedback.thumb if feedback else None) == thumb


def test_a_tier_that_does_not_exist_is_left_out() -> None:
    assert tags({"t": 2}, tier=("t",)).tier == 2
    assert tags({"t": "4"}, tier=("t",)).tier is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcd"), JSON))
def test_any_json_gives_tags_and_never_raises(tree: dict[str, Any]) -> None:
    places = ("a.b.c", "b[x:]", "c", "d.a")
    read = tags(tree, user_id=places, cohort={"k": places}, feedback=FeedbackPlaces(thumb=places, corrected=places))
    assert read.user_id is None or read.user_id


def test_a_place_of_the_mapping_may_stand_in_a_list_of_names_and_values() -> None:
    fields: dict[str, Any] = {"tags_under": ("t",), "user_id": ("t.user_id", "user")}
    assert tags({"t": ["env:test", "user_id:u-1"], "user": "u-2"}, **fields).user_id == "u-1"


def test_request_headers_hold_tags_without_being_named_in_the_mapping() -> None:
    headers = {"X-Do-Not-Train": "1", "User-Id": "u-1"}
    for row in (
        {"headers": headers},
        {"request_headers": headers},
        {"request": {"headers": headers}},
        {"request": {"extra_headers": headers}},
    ):
        read = tags(row)
        assert (read.user_id, consent_of(read.cohort["training"])) == ("u-1", "no")


def test_tags_of_the_body_come_before_those_of_the_headers() -> None:
    row = {"headers": {"user-id": "gateway"}, "t": {"user_id": "u-1"}}
    assert tags(row, tags_under=("t", ".")).user_id == "u-1"
    assert tags(row | {"user_id": "row"}, tags_under=(".",)).user_id == "gateway"


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "plan", "user", "thumb", "training"]), JSON), max_size=6))
def test_lines_read_before_do_not_change_what_is_read(trees: list[dict[str, Any]]) -> None:
    mapping = TagMapping(tags_under=("a", "."), user_id=("a.b", "b[x:]"), cohort={"plan": ("b.plan",)})
    reader = TagReader(mapping)
    assert [reader.read(tree) for tree in trees] == [TagReader(mapping).read(tree) for tree in trees]


@pytest.mark.parametrize(
    "value, thumb",
    [
        ({"thumbs_down": True}, "down"), ({"disliked": "1"}, "down"), ({"thumbs_down": False}, None),
        ([{"name": "user-feedback", "value": 0}], "0"), ([{"name": "negative_user_feedback", "value": 1}], "down"),
        ([{"name": "negative_user_feedback", "value": 0}], None),
        ([{"name": "User_Feedback", "stringValue": "bad", "value": None}], "down"),
        ([{"name": "user-feedback", "value": 0, "source": "EVAL"}, {"name": "plan", "value": 1}], None),
    ],
)  # fmt: skip
def test_a_verdict_may_be_a_flag_or_one_of_several_scores(value: Any, thumb: str | None) -> None:
    read = tags({"t": value}, tags_under=("t",))
    assert (read.feedback.thumb if read.feedback else None) == thumb
    assert read.cohort == {}
