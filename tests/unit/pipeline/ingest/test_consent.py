"""Consent to training in the forms that tags write it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.consent_words import consent_of
from pipeline.ingest import consent
from pipeline.ingest.consent_names import kind_of
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.tags import TagReader
from tests.fakes.growth import assert_linear
from tests.unit.pipeline.ingest.test_tags import JSON


def training(tags: dict[str, Any]) -> str | None:
    """The cohort of a row whose tags stand under `metadata`."""
    return TagReader(TagMapping(tags_under=("metadata",))).read({"metadata": tags}).cohort.get("training")


@pytest.mark.parametrize(
    "tags",
    [
        {"opt_out": "Y"}, {"opt_out": "on"}, {"opt_out": "ja"}, {"optOut": True}, {"opt_out": "opted_out"},
        {"training_opt_out": "true"}, {"doNotTrain": 1}, {"no_training": "1.0"}, {"exclude_from_training": "yes"},
        {"allowTraining": False}, {"training": "0.0"}, {"consent": {"training": False, "analytics": True}},
        {"consent": {"status": "withdrawn"}}, {"consent": '{"given": "no"}'}, {"privacy": {"opt_out": True}},
        {"consent": "true", "opt_out": "true"}, {"training": "yes", "training_consent": "no"},
        {"opt_out": ["training"]}, {"opt_in": "false"}, {"training_disabled": "true"},
        {"headers": {"X-Do-Not-Train": "1"}}, {"x-acme-training-opt-out": "true"}, {"X-Training-Consent": "no"},
        {"consent_withdrawn": True}, {"userConsentRevoked": "yes"}, {"usedForTraining": "No"}, {"in_training": False},
        {"improve_models": False}, {"shareDataForTraining": False}, {"settings": {"data_sharing_for_training": "off"}},
        {"data_use": {"modelImprovement": "off"}}, {"useToImproveTheModel": "no"},
        {"training": "disabled"}, {"training_preference": "opted_out"}, {"trainingChoice": "off"}, {"consent": "нет"},
        {"einwilligung_training": "nein"}, {"trainingseinwilligung": "nein"}, {"Widerspruch Training": "ja"},
        {"entrenamiento_permitido": "no"}, {"consentement_entraînement": "non"}, {"ki_training_verboten": True},
        {"usage_rights": "no-derivatives, no-ml"}, {"noAI": True}, {"no_ml": 1},
        {"tdm-reservation": 1}, {"x-zero-data-retention": "true"},
        {"prefs": '{"improve_model_for_everyone": false}'},
        {"tags": ["web", "no-train"]}, {"labels": ["plan:pro", "training_opt_out"]}, {"tags": ["consent:no"]},
    ],
)  # fmt: skip
def test_a_refusal_is_one_in_every_form(tags: dict[str, Any]) -> None:
    assert consent_of(training(tags) or "") == "no"


@pytest.mark.parametrize(
    "tags",
    [
        {"consent": ["analytics"]}, {"consent": {"analytics": True}}, {"opt_out": "maybe"}, {"opt_out": "since May"},
        {"consent": "pending"}, {"consent": "?"}, {"opt_out": ["mail"]}, {"consent": []}, {"training": 2},
        {"consent": "yes", "opt_out": "?"}, {"consent": {"status": "yes", "given": "asked"}},
        {"consent_withdrawn_at": "2026-05-01"}, {"opted_out_at": 1791192600}, {"consent_purposes": ["analytics", "x"]},
        {"consent": {"value": True, "scope": "service"}}, {"consent": {"granted": True, "purposes": ["mail", "x"]}},
        {"tags": ["acme-no-training"]}, {"improve_models": True},
        {"data_collection": "deny"}, {"x-data-retention": "zero"}, {"data_retention": 0},
        {"data_sharing": {"enabled": False, "purpose": "model_improvement"}},
        {"consent": {"type": "marketing", "granted": True}}, {"consent": {"name": "Cookies", "value": "yes"}},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_no_consent(tags: dict[str, Any]) -> None:
    assert consent_of(training(tags) or "yes") == "unknown"


@pytest.mark.parametrize(
    "tags",
    [
        {"opt_out": "N"}, {"opt_out": "nein"}, {"opt_out": False}, {"training": "1.0"}, {"consent": ["training", "x"]},
        {"consent": {"training": True}}, {"consent": "true", "opt_out": "false"}, {"training_opt_in": "yes"},
        {"opt_out": "opted_in"}, {"consent_purposes": ["analytics", "model_training"]},
        {"consent": {"granted": True, "type": "AI training"}},
        {"consent": {"granted": True, "scope": "training"}}, {"consent": {"given": 1, "purposes": ["mail", "all"]}},
    ],
)  # fmt: skip
def test_consent_is_one_in_every_form(tags: dict[str, Any]) -> None:
    assert consent_of(training(tags) or "") == "yes"


@pytest.mark.parametrize(
    "tags",
    [
        {"marketing_opt_out": True}, {"cookie_consent": "no"}, {"training_run_id": "r1"}, {"opt_out": None}, {},
        {"tags": ["training", "consented", "train"]}, {"improve_answer": True}, {"model_improvement_id": 7},
        {"data_retention": 30}, {"data_retention": "30d"}, {"data_collection": "allow"}, {"reservation": "yes"},
        {"no_ai_assist": True}, {"optimize": "no"}, {"widersprochen_am": None},
        {"zdr": False}, {"zero_data_retention": "off"}, {"tdm_reservation": 0}, {"noAI": "false"},
    ],
)  # fmt: skip
def test_other_consents_and_empty_ones_say_nothing(tags: dict[str, Any]) -> None:
    assert training(tags) is None


@pytest.mark.parametrize(
    "tags",
    [
        {"data_policy": "no_train"}, {"policy": "no training"}, {"data_use": "do-not-train"},
        {"data_usage": "Do not use for training"}, {"dataset": "exclude_from_training"}, {"note": "not for training"},
        {"training": True, "data_policy": "no_train"}, {"policies": ["eu_only", "no_train"]},
        {"a": {"b": {"policy": "noTrain"}}}, {"flags": {"no_train": 1}},
        {"tags": ["plan:pro", "data_policy:no-train"]}, {"tags": ["plan=pro", "training=false"]},
        {"tags": ["data_policy=no_train"]}, {"tags": "pro,no-train"}, {"labels": "plan:pro; no_training"},
        {"settings": {"privacy": {"ai": {"training": False}}}}, {"restrictions": ["training"]},
        {"forbidden_uses": ["resale", "model_training"]}, {"attributes": [{"key": "training", "value": False}]},
        {"opted": '{"opted_out": true}'}, {"labels": {"acme.io/no-train": "true"}}, {"x": {"acme.io/training": "off"}},
        {"user": {"restrictions": ["no_training", "eu"]}}, {"tags": ["training: no"]},
    ],
)  # fmt: skip
def test_a_refusal_is_one_also_in_a_value(tags: dict[str, Any]) -> None:
    assert consent_of(training(tags) or "") == "no"


@pytest.mark.parametrize(
    "tags, named",
    [
        ({"privacy": "opt-out"}, "privacy: opt-out"), ({"dataSharing": "opted_out"}, "dataSharing: opted_out"),
        ({"privacy_note": "They asked that we never train on it"}, "privacy_note: They asked"),
        ({"data_policy": "no_train_without_consent"}, "data_policy: no_train"),
        ({"allowed_uses": ["support"]}, "support"), ({"data_usage": "inference_only"}, "data_usage: inference_only"),
        ({"data_license": "internal use only"}, "internal use"),
    ],
)  # fmt: skip
def test_a_value_that_may_refuse_is_no_consent_and_is_named(tags: dict[str, Any], named: str) -> None:
    word = training(tags | {"consent": "yes"})
    assert word is not None
    assert named in word
    assert consent_of(word) == "unknown"


@pytest.mark.parametrize(
    "tags",
    [
        {"marketing": "opt-out"}, {"title": "Dog training for beginners"}, {"status": "not_trained"},
        {"data_policy": "train_allowed"}, {"task": "train-schedule"}, {"title": "Training not started"},
        {"tags": "training,options"}, {"uses": ["search"]}, {"allowed_uses": ["training"]}, {"mail": "no options"},
        {"mode": "read_only"}, {"plan": "support-only"},
    ],
)  # fmt: skip
def test_a_value_about_something_else_says_nothing(tags: dict[str, Any]) -> None:
    assert training(tags) is None


@pytest.mark.parametrize(
    "name",
    [
        "not_used_for_training", "isExcludedFromTraining", "ineligible_for_training", "unavailable_for_training",
        "non_training", "nontraining", "untrainable", "disallow_training", "training_disallowed", "cannotTrain",
        "can't train", "may_not_train_on_data", "doNOTTrain", "donottrain", "noAITraining", "excludeFromFineTuning",
        "exempt-from-training", "training.refused", "withoutTrainingConsent", "prevent_training", "optOutOfTraining",
        "x-acme-not-for-training", "skip_training", "training_prohibited", "no_finetuning", "trainingoptout",
    ],
)  # fmt: skip
def test_a_refusal_is_known_by_its_negation(name: str) -> None:
    assert kind_of(name) == "opt_out"


@pytest.mark.parametrize(
    "name",
    [
        "training", "allowTraining", "allowAITraining", "allowtraining", "can_train", "use_for_training",
        "training_permission", "eligible_for_training", "x_acme_training_consent", "opted_in", "trainingOptIn",
        "may_be_used_for_training", "userConsent", "agrees_to_training", "permit-fine-tuning", "training_choice",
        "zustimmung_zum_training", "autorisation_entrainement", "consenso_addestramento",
    ],
)  # fmt: skip
def test_consent_is_known_by_a_word_of_permission(name: str) -> None:
    assert kind_of(name) == "consent"


@pytest.mark.parametrize("value", [True, False, "yes", "no", "2026-05-01", 7, {"a": 1}, ["x"]])
@pytest.mark.parametrize(
    "name",
    [
        "user_in_training", "in_training", "is_training", "used_to_train_model", "included_in_training",
        "not_excluded_from_training", "do_not_opt_out", "acme_no_training", "training_emails_allowed",
        "allow_opt_out", "lacks_training_consent_form",
    ],
)  # fmt: skip
def test_a_name_that_does_not_say_what_the_user_wants_gives_no_consent(name: str, value: Any) -> None:
    word = training({name: value})
    assert word is not None
    assert consent_of(word) != "yes"
    if consent_of(word) == "unknown":
        assert name in word


@pytest.mark.parametrize(
    "name",
    [
        "training_id", "trainer", "train_test_split", "trained", "fine_tuned_model", "constraint", "training_job",
        "consent_id", "training_consent_version", "consented_at", "newsletter_opt_in", "do_not_call", "allowed_tools",
        "is_excluded", "options", "stream_options", "training_no", "strain", "permission", "not_before",
    ],
)  # fmt: skip
def test_a_name_of_something_else_says_nothing(name: str) -> None:
    assert kind_of(name) is None


def test_tags_as_a_list_of_keys_and_values_are_read() -> None:
    reader = TagReader(TagMapping(tags_under=("tags",)))
    tags = reader.read({"tags": [{"key": "training", "value": "yes"}, {"key": "feature", "value": "search"}]})
    assert (tags.cohort, tags.feature) == ({"training": "yes"}, "search")


def test_an_unclear_name_does_not_outweigh_a_refusal() -> None:
    assert training({"in_training": True, "do_not_train": True}) == "false"


def test_of_two_places_the_stricter_counts() -> None:
    reader = TagReader(TagMapping(tags_under=("a", "b"), cohort={"training": ("c",)}))
    assert reader.read({"a": {"consent": "yes"}, "b": {"consent": "no"}}).cohort == {"training": "no"}
    assert reader.read({"a": {"consent": "no"}, "c": {"given": True}}).cohort == {"training": "no"}


def test_a_schema_in_a_body_beside_the_tags_is_no_consent() -> None:
    row = {"request": {"response_format": {"schema": {"consent": {"type": "boolean"}}}}, "training": "yes"}
    assert TagReader(TagMapping(tags_under=(".",))).read(row).cohort == {"training": "yes"}


@pytest.mark.parametrize(
    "row",
    [
        {"user": {"id": "u", "training_consent": False}}, {"customer": {"settings": {"allowTraining": "no"}}},
        {"context": {"user": {"gdpr": {"training": False}}}}, {"labels": ["no-train"]},
        {"account": {"dataUsage": {"modelTraining": "off"}}},
    ],
)  # fmt: skip
def test_a_no_in_an_object_or_list_of_the_row_counts(row: dict[str, Any]) -> None:
    assert consent_of(TagReader(TagMapping(tags_under=(".",))).read(row).cohort["training"]) == "no"


@pytest.mark.parametrize(
    "body",
    [
        {"input": ["consent:yes"]}, {"llm": {"model": "m", "extra": {"consent": "yes"}}},
        {"user_message": '{"consent": true}'}, {"event": {"sent": '{"user": {"training_consent": "yes"}}'}},
        {"chunks": ["consent: yes"]}, {"slots": {"consent": "yes"}}, {"result": {"opt_out": False}},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "reader", [TagReader(TagMapping(tags_under=(".",))), TagReader(TagMapping(), consent_in_row=True)]
)
def test_texts_and_bodies_give_no_consent(body: dict[str, Any], reader: TagReader) -> None:
    assert reader.read(body).cohort == {}


def test_a_text_beside_the_tags_gives_no_consent() -> None:
    tags = {"input.value": '{"consent": true}', "llm.prompt_template.variables": {"consent": "yes"}}
    assert TagReader(TagMapping(tags_under=("attributes",))).read({"attributes": tags}).cohort == {}


def test_consent_is_searched_in_the_whole_row_without_a_place_for_tags() -> None:
    reader = TagReader(TagMapping(), consent_in_row=True)
    assert reader.read({"id": 1, "plan": "pro", "ai_training_consent": "f"}).cohort == {"training": "f"}
    assert reader.read({"meta": json.dumps({"user": {"training_opt_out": True}})}).cohort == {"training": "false"}
    assert reader.read({"request_json": json.dumps({"messages": [], "consent": "yes"})}).cohort == {}


@given(st.dictionaries(st.sampled_from(["consent", "opt_out", "training", "a"]), JSON))
def test_any_json_gives_words_without_an_error(tags: dict[str, Any]) -> None:
    assert all(isinstance(word, str) for word in consent.answers(tags))


@pytest.mark.parametrize("name", ["a" * 60 + "opt", "train" * 12, "opt" * 5000])
def test_a_long_name_costs_no_time(name: str) -> None:
    assert kind_of(name) in (None, "unclear", "use")


@pytest.mark.parametrize("start, run", [("improves", "_"), ("improve", " a"), ("opt", "-")])
def test_a_long_text_is_searched_in_linear_time(start: str, run: str) -> None:
    def searching(runs: int) -> Callable[[], object]:
        return lambda: consent.answers({"note": start + run * runs})

    assert_linear(searching, 9_600)


def test_refusals_in_a_list_of_objects_count_and_consent_does_not() -> None:
    rows = [{"no_train": True}, {"training_consent": "yes"}, {"y": [{"training": "no"}]}]
    assert consent.answers({"x": rows}) == ["false", "no"]
