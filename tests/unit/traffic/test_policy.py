"""Rules, their conditions, and the verdict."""

import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import policy
from traffic.callsites import CallSite, RequestType
from traffic.config import CONFIGS, convert
from traffic.errors import ConfigError, NotFound
from traffic.features import Features, features_of, request_type
from traffic.policy import Policy, Rule, decide
from traffic.record import Message

SHORT = Features(user_chars=100, max_tokens=16, asks_label=True)
LONG = Features(user_chars=9000)


def rules(*rows: dict[str, Any]) -> Policy:
    filled = [{"name": f"rule {n}", "reason": "because", "tier": 1, **row} for n, row in enumerate(rows)]
    return convert({"rules": filled}, Policy, source="router.yaml")


def holds(
    when: dict[str, Any], features: Features = SHORT, kind: str = "intent", call_site: str | None = "a.b"
) -> bool:
    return decide(rules({"when": when}), features, kind, None, call_site=call_site).tier == 1


@pytest.mark.parametrize(
    "when, expected",
    [
        ({"request_type": "intent"}, True),
        ({"request_type": {"eq": "chat"}}, False),
        ({"request_type": ["chat", "intent"]}, True),
        ({"request_type": {"in": ["chat"]}}, False),
        ({"user_chars": {"lt": 100}}, False),
        ({"user_chars": {"le": 100}}, True),
        ({"user_chars": {"gt": 99}}, True),
        ({"user_chars": {"ge": 101}}, False),
        ({"user_chars": {"ge": 50, "le": 150}}, True),
        ({"user_chars": {"ge": 50, "le": 99}}, False),
        ({"asks_label": True}, True),
        ({"asks_label": False}, False),
        ({"call_site": {"regex": "^a\\."}}, True),
        ({"call_site": {"regex": "^b"}}, False),
        ({"request_type": "intent", "user_chars": {"gt": 500}}, False),
        ({"all": [{"request_type": "intent"}, {"asks_label": True}]}, True),
        ({"all": [{"request_type": "intent"}, {"asks_label": False}]}, False),
        ({"any": [{"request_type": "chat"}, {"asks_label": True}]}, True),
        ({"any": [{"request_type": "chat"}, {"asks_label": False}]}, False),
        ({"not": {"request_type": "chat"}}, True),
        ({"not": {"any": [{"request_type": "chat"}, {"asks_label": True}]}}, False),
    ],
)
def test_conditions_compare_features(when: dict[str, Any], expected: bool) -> None:
    assert holds(when) is expected


def test_conditions_compare_what_is_read_from_the_texts_when_it_is_asked_for() -> None:
    features = features_of(
        [Message("system", "Calculate, compare and review."), Message("user", "```python\nx = 1\n```")]
    )
    assert holds({"heavy_words": {"ge": 6}, "code_fence": True}, features)
    assert holds({"heavy_words": 0, "code_fence": False}, Features())


def test_an_unset_number_is_neither_small_nor_large() -> None:
    assert not holds({"max_tokens": {"le": 32}}, LONG)
    assert not holds({"max_tokens": {"gt": 32}}, LONG)


def test_the_first_matching_rule_applies_and_is_named() -> None:
    both = rules({"when": {"asks_label": True}, "tier": 3}, {"when": {"request_type": "intent"}, "tier": 1})
    verdict = decide(both, SHORT, "intent", None)
    assert (verdict.tier, verdict.rule, verdict.reason, verdict.refuse) == (3, "rule 0", "because", None)


def test_without_a_matching_rule_the_standard_tier_is_chosen() -> None:
    verdict = decide(rules({"when": {"request_type": "chat"}}), SHORT, "intent", None)
    assert (verdict.tier, verdict.rule) == (2, "default")
    assert "no rule matches" in verdict.reason


def test_a_registered_tier_takes_precedence_over_the_rules() -> None:
    entry = CallSite(name="a.b", tier=3)
    verdict = decide(rules({"when": {"request_type": "intent"}}), SHORT, "intent", entry)
    assert (verdict.tier, verdict.rule) == (3, "call site")
    assert "a.b" in verdict.reason


def test_a_refusal_has_a_message_and_applies_to_registered_call_sites() -> None:
    refusing = rules(
        {"when": {"call_site": {"regex": "debug"}}, "tier": None, "refuse": "debug calls are switched off"}
    )
    verdict = decide(refusing, SHORT, "intent", CallSite(name="x.debug", tier=1))
    assert verdict.refuse == "debug calls are switched off"
    assert decide(refusing, SHORT, "intent", None).refuse is None


@pytest.mark.parametrize(
    "row, says",
    [
        ({"when": {"request_type": "chat"}, "tier": 4}, r"exactly three tiers .*rules\[0\]"),
        ({"when": {"request_type": "chat"}, "tier": 0}, "exactly three tiers"),
        ({"when": {"request_type": "chat"}, "refuse": "no"}, "either a tier or a refuse"),
        ({"when": {"request_type": "chat"}, "tier": None}, "either a tier or a refuse"),
        ({"when": {}}, "a condition is a mapping"),
        ({"when": {"all": []}}, "takes a list of conditions"),
        ({"when": {"any": {"request_type": "chat"}}}, "takes a list of conditions"),
        ({"when": {"not": ["x"]}}, "a condition is a mapping"),
        ({"when": {"plan": "free"}}, "no field 'plan'; there are: input_tokens_estimate"),
        ({"when": {"user_chras": 3}}, "did you mean `user_chars`"),
        ({"when": {"user_chars": {"above": 3}}}, "no operator 'above'; there are: eq, in, lt"),
        ({"when": {"user_chars": {}}}, "nothing to compare with"),
        ({"when": {"user_chars": "many"}}, "user_chars is a number"),
        ({"when": {"user_chars": True}}, "user_chars is a number"),
        ({"when": {"asks_label": 1}}, "asks_label is true or false"),
        ({"when": {"code_fence": 1}}, "code_fence is true or false"),
        ({"when": {"heavy_words": True}}, "heavy_words is a number"),
        ({"when": {"system_beginning": "x"}}, "no field 'system_beginning'"),
        ({"when": {"request_type": {"lt": "chat"}}}, "can never hold"),
        ({"when": {"request_type": []}}, "`in` takes a list"),
        ({"when": {"asks_label": {"regex": "x"}}}, "true or false"),
        ({"when": {"call_site": {"regex": "("}}}, "no regular expression"),
        ({"when": {"request_type": "chat"}, "tierr": 1}, "tierr"),
    ],
)
def test_an_invalid_rule_is_refused_at_load_with_its_location(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        rules(row)
    assert str(error.value).startswith("router.yaml: ")


def test_duplicate_rule_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="duplicate rule name 'x'"):
        rules({"when": {"asks_label": True}, "name": "x"}, {"when": {"asks_code": True}, "name": "x"})


def test_conditions_are_compiled_once_per_policy() -> None:
    one = Policy((Rule(name="a", reason="b", when={"asks_label": True}, tier=1),))
    assert one.compiled is one.compiled


def test_rules_skipped_for_a_request_type_never_match_it() -> None:
    shipped = policy.load(CONFIGS / "router.yaml")
    for kind in get_args(RequestType):
        kept = shipped.compiled_by_type[kind]
        left_out = [rule for rule in shipped.compiled if rule not in kept]
        assert left_out
        for f in (Features(), Features(asks_label=True, n_tools=9, images=1, input_tokens_estimate=99_999)):
            assert not any(holds(f, kind, "") for _, holds in left_out)


@pytest.mark.parametrize(
    "when, kept_for",
    [
        ({"request_type": "code"}, {"code"}),
        ({"all": [{"images": 0}, {"request_type": ["code", "chat"]}]}, {"code", "chat"}),
        ({"any": [{"request_type": "code"}, {"images": 0}]}, set(get_args(RequestType))),
        ({"not": {"request_type": "code"}}, set(get_args(RequestType))),
        ({"request_type": {"regex": "^c"}}, set(get_args(RequestType))),
    ],
)
def test_only_rules_that_require_another_request_type_are_skipped(when: dict[str, Any], kept_for: set[str]) -> None:
    rules = Policy((Rule(name="r", reason="r", when=when, tier=1),))
    assert {kind for kind, kept in rules.compiled_by_type.items() if kept} == kept_for


def test_a_file_without_rules_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_text("endpoints: []\n")
    with pytest.raises(ConfigError, match="has no section `rules`"):
        policy.load(path)
    with pytest.raises(NotFound):
        policy.load(tmp_path / "other.yaml")


def test_the_shipped_rules_name_no_call_site_and_give_every_rule_a_reason() -> None:
    shipped = policy.load(CONFIGS / "router.yaml")
    assert {rule.tier for rule in shipped.rules} == {1, 2, 3}
    assert all(rule.reason and "call_site" not in str(rule.when) for rule in shipped.rules)


def test_no_tier_3_request_type_reaches_tier_1_whatever_its_shape() -> None:
    shipped = policy.load(CONFIGS / "router.yaml")
    for kind in ("reasoning", "long_context", "code", "chat"):
        assert decide(shipped, SHORT, kind, None).tier == 3
    for kind in ("generation", "summarization", "structured", "tool_use"):
        assert decide(shipped, SHORT, kind, None).tier > 1


def test_a_decision_on_two_thousand_tokens_takes_microseconds() -> None:
    shipped = policy.load(CONFIGS / "router.yaml")
    system = "Answer with exactly one label from the list.\n\n" + "Rule: look at what the customer wants.\n" * 180
    taken = []
    for n in range(300):
        messages = [Message("system", system), Message("user", f"message number {n} " + "where is my parcel? " * 40)]
        start = time.thread_time_ns()
        features = features_of(messages)
        decide(shipped, features, request_type(features, messages), None)
        taken.append((time.thread_time_ns() - start) / 1000)
    assert features.input_tokens_estimate > 1900
    # The bar is 100 µs at the 99th percentile; the median, with room for a slow machine, cannot flake.
    assert sorted(taken)[150] < 100


@pytest.mark.parametrize(
    "when, says",
    [
        ({"request_type": "intent"}, None),
        ({"request_type": "chat"}, "request_type is intent, not chat"),
        ({"request_type": ["chat", "code"]}, "request_type is intent, not one of chat, code"),
        ({"user_chars": {"gt": 500}}, "user_chars is 100, not above 500"),
        ({"asks_label": False}, "asks_label is true, not false"),
        ({"all": [{"asks_label": True}, {"images": {"ge": 1}}]}, "images is 0, not at least 1"),
        ({"any": [{"asks_code": True}, {"images": 2}]}, "none of these holds: asks_code is false, not true; "),
        ({"not": {"asks_label": True}}, "it must not be that asks_label is true"),
    ],
)
def test_the_first_failing_condition_is_described(when: dict[str, Any], says: str | None) -> None:
    failing = policy.first_failing(when, SHORT, "intent", "a.b")
    assert failing == says if says is None else failing is not None and failing.startswith(says)


_OPERATORS = st.sampled_from(["lt", "le", "gt", "ge", "eq"])
_leaf = st.one_of(
    st.fixed_dictionaries({"asks_label": st.booleans()}),
    st.fixed_dictionaries({"user_chars": st.dictionaries(_OPERATORS, st.integers(0, 200), min_size=1)}),
    st.fixed_dictionaries({"request_type": st.lists(st.sampled_from(["intent", "chat"]), min_size=1)}),
)
_conditions = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)


@given(_conditions)
def test_a_condition_fails_exactly_if_it_has_a_failing_part_and_its_negation_holds(
    when: dict[str, Any],
) -> None:
    assert holds(when) != holds({"not": when})
    assert holds(when) == (policy.first_failing(when, SHORT, "intent", "a.b") is None)


@given(_conditions, _conditions)
def test_all_means_and_and_any_means_or(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert holds({"all": [one, other]}) == (holds(one) and holds(other))
    assert holds({"any": [one, other]}) == (holds(one) or holds(other))
