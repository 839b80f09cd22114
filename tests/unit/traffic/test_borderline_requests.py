"""The shipped rules on requests of the kinds that lie between two tiers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.chat_requests import TOOL
from traffic import policy
from traffic.config import CONFIGS
from traffic.features import features_of, request_type
from traffic.record import Message

KINDS = yaml.safe_load((Path(__file__).parent / "borderline_requests.yaml").read_text(encoding="utf-8"))
RULES = policy.load(CONFIGS / "router.yaml")


def tier_of(request: dict[str, Any]) -> int:
    user = request["user"] * request.get("repeat", 1)
    system = [Message("system", request["system"])] if request["system"] else []
    messages = [*system, Message("user", user)]
    features = features_of(messages, [TOOL] * request.get("tools", 0))
    return policy.decide(RULES, features, request_type(features, messages), None).tier


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_between_two_tiers_is_sent_too_low(kind: str) -> None:
    assert [r["system"] or r["user"] for r in KINDS[kind] if tier_of(r) < r["tier"]] == []


@pytest.mark.parametrize("kind", KINDS)
def test_easy_work_is_not_sent_higher(kind: str) -> None:
    assert [r["system"] or r["user"] for r in KINDS[kind] if tier_of(r) > r["tier"]] == []


def test_other_words_for_a_passage_are_a_new_text_and_for_a_sentence_an_edit() -> None:
    system = "Paraphrase what the mate wrote."
    sentence = "The tug left late since the pilot came at nine."
    assert tier_of({"system": system, "user": sentence}) == 1
    assert tier_of({"system": system, "user": sentence, "repeat": 4}) == 2
    assert tier_of({"system": "Correct the spelling of what the mate wrote.", "user": sentence, "repeat": 4}) == 1
