"""Deployments: which requests an adapter gets, and reloads of the table."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.deployed import Deployed, Prepared, Watcher, read
from router.request import ChatRequest, parse
from tests.fakes.router import CALL_SITE, LABELS, SYSTEM, deploy, deployment, write_adapter
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.confidence import Platt, Threshold
from traffic.errors import ConfigError, InputError, NotFound

ADAPTER = f"{CALL_SITE}@aaaaaaaa"
URL = "http://127.0.0.1:1/v1"


def request(text: str = "refund", **tags: str) -> ChatRequest:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    body = {"messages": messages, "metadata": {"call_site": CALL_SITE} | tags}
    return parse(msgspec.json.encode(body), {})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    write_adapter(home, ADAPTER)
    return home


def prepare(deployed: Deployed, request: ChatRequest, **changes: Any) -> Prepared | str:
    return deployed.prepare(request, **{"min_margin": None, "environ": {}} | changes)


def test_a_request_of_the_template_is_rendered_pruned(home: Home) -> None:
    deploy(home, deployment(ADAPTER, URL))
    prepared = prepare(read(home), request())
    assert isinstance(prepared, Prepared)
    assert [message["content"] for message in prepared.messages] == ["intent", "refund"]
    assert (prepared.checks, prepared.threshold, prepared.judged) == (Checks(labels=LABELS), None, True)


def test_an_answer_is_judged_if_its_deployment_has_checks_or_a_threshold(home: Home) -> None:
    write_adapter(home, f"{CALL_SITE}@bbbbbbbb", checks=Checks(refuse_refusals=False))
    deploy(home, deployment(f"{CALL_SITE}@bbbbbbbb", URL))
    free, unsure = prepare(read(home), request()), prepare(read(home), request(), min_margin=0.2)
    assert isinstance(free, Prepared)
    assert isinstance(unsure, Prepared)
    assert (free.judged, unsure.judged) == (False, True)
    assert unsure.threshold == Threshold("min_margin", 0.2)


def test_the_most_specific_cohort_wins_and_other_requests_are_unaffected(home: Home) -> None:
    deploy(home, deployment(ADAPTER, URL, cohort={"language": "de"}))
    assert prepare(read(home), request(language="fr")) == "no_deployment"
    german = prepare(read(home), request(language="de"))
    assert isinstance(german, Prepared)
    assert german.deployment.title == f"{CALL_SITE} language=de since 2026-11-23T00:00:00Z"


def test_a_canary_gets_its_share_and_a_session_stays_on_one_side(home: Home) -> None:
    deploy(home, deployment(ADAPTER, URL, share=0.25))
    deployed = read(home)
    sides = [isinstance(prepare(deployed, request(session_id=f"s{n}")), Prepared) for n in range(400)]
    again = [isinstance(prepare(deployed, request(session_id=f"s{n}")), Prepared) for n in range(400)]
    assert sides == again
    assert 60 <= sum(sides) <= 140
    deploy(home, deployment(ADAPTER, URL, share=0.0))
    assert prepare(read(home), request()) == "canary"


def test_a_canary_that_grows_keeps_its_sessions_and_each_cohort_has_its_own_share(home: Home) -> None:
    def sessions(language: str) -> set[int]:
        deployed = read(home)
        prepared = {n: prepare(deployed, request(session_id=f"s{n}", language=language)) for n in range(200)}
        return {n for n, entry in prepared.items() if isinstance(entry, Prepared)}

    deploy(home, deployment(ADAPTER, URL, share=0.2))
    canary = sessions("en")
    deploy(home, deployment(ADAPTER, URL, share=0.6), deployment(ADAPTER, URL, share=1.0, cohort={"language": "de"}))
    assert canary < sessions("en") < sessions("de") == set(range(200))


def test_answers_that_are_compared_or_only_logged_are_not_streamed(home: Home) -> None:
    write_adapter(home, f"{CALL_SITE}@bbbbbbbb", checks=Checks())
    deploy(home, deployment(f"{CALL_SITE}@bbbbbbbb", URL))
    free, compared = prepare(read(home), request()), prepare(read(home), request(), high_stakes=True)
    deploy(home, deployment(f"{CALL_SITE}@bbbbbbbb", URL, shadow=True))
    shadow = prepare(read(home), request(), shadow=True)
    judged = [entry.judged for entry in (free, compared, shadow) if isinstance(entry, Prepared)]
    assert judged == [False, True, True]


def test_an_endpoint_without_its_key_is_not_asked(home: Home) -> None:
    entry = deployment(ADAPTER, URL)
    entry = msgspec.structs.replace(entry, endpoint=msgspec.structs.replace(entry.endpoint, api_key_env="SERVE_KEY"))
    deploy(home, entry)
    assert prepare(read(home), request()) == "missing_key"
    assert isinstance(prepare(read(home), request(), environ={"SERVE_KEY": "k"}), Prepared)


@pytest.mark.parametrize(
    "changes, error, says",
    [
        ({"adapter": f"{CALL_SITE}@cccccccc"}, NotFound, "adapter.yaml"),
        ({"call_site": "desk.other"}, InputError, "was not trained for desk.other"),
        ({"calibration": "missing.yaml"}, NotFound, "missing.yaml"),
    ],
)
def test_a_table_with_an_unreadable_artifact_is_rejected(
    home: Home, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    deploy(home, deployment(changes.pop("adapter", ADAPTER), URL, **changes))
    with pytest.raises(error, match=says):
        read(home)


@pytest.mark.parametrize("place", ["calibrations/desk@11111111/calibration.yaml", "{home}/elsewhere.yaml"])
def test_a_calibration_path_is_relative_to_the_home_or_absolute(home: Home, place: str) -> None:
    named = place.format(home=home.root)
    path = home.root / named
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("signal: mean_margin\nthreshold: 0.9\ncurve: {kind: platt, slope: 2.0, intercept: 0.5}\n")
    deploy(home, deployment(ADAPTER, URL, calibration=named))
    prepared = prepare(read(home), request())
    assert isinstance(prepared, Prepared)
    assert prepared.threshold == Threshold("mean_margin", 0.9, (), Platt(2.0, 0.5))


def test_a_calibration_without_a_certified_threshold_is_rejected(home: Home) -> None:
    path = home.root / "calibration.yaml"
    path.write_text("signal: mean_margin\nthreshold: null\n")
    deploy(home, deployment(ADAPTER, URL, calibration="calibration.yaml"))
    with pytest.raises(InputError, match="has no threshold"):
        read(home)


def test_impossible_checks_are_detected_when_the_table_is_loaded(home: Home) -> None:
    write_adapter(home, f"{CALL_SITE}@bbbbbbbb", checks=Checks(json_schema={"type": "nonsense"}))
    deploy(home, deployment(f"{CALL_SITE}@bbbbbbbb", URL))
    with pytest.raises(ConfigError, match="json_schema"):
        read(home)


def test_a_missing_table_is_an_error_only_after_one_was_loaded(home: Home) -> None:
    watcher = Watcher(home)
    watcher.look()
    assert (watcher.error, watcher.deployed) == (None, Deployed())
    deploy(home, deployment(ADAPTER, URL))
    watcher.look()
    assert (watcher.error, len(watcher.deployed.table.entries)) == (None, 1)
    home.deployments.unlink()
    watcher.look()
    watcher.look()
    assert watcher.error == f"{home.deployments} is gone"
    assert len(watcher.deployed.table.entries) == 1


def test_a_table_is_applied_once_its_missing_adapter_arrives(home: Home) -> None:
    late = f"{CALL_SITE}@dddddddd"
    deploy(home, deployment(late, URL))
    watcher = Watcher(home)
    watcher.look()
    assert watcher.error is not None
    write_adapter(home, late)
    watcher.look()
    assert (watcher.error, watcher.reloads) == (None, 1)


def test_an_unchanged_table_is_not_read_again(home: Home) -> None:
    deploy(home, deployment(ADAPTER, URL))
    watcher = Watcher(home)
    watcher.look()
    watcher.look()
    assert watcher.reloads == 1
