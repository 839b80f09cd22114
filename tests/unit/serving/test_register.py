import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serving import register as registers
from serving import supervise
from serving.command import Command
from serving.parity import ParityReport
from serving.status import status
from tests.fakes import model_server
from traffic import adapters, calibrations, config, deployments
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import ConfigError, EndpointError, InputError, MissingSecret, NotFound

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://127.0.0.1:9/v1"
REASON = "pilot until Friday"


def deploy(
    home: Home,
    folder: Path,
    url: str,
    sites: Sequence[str],
    decision: Path | None,
    override: str | None,
    parity: ParityReport,
    *,
    now: datetime | None = None,
    **options: Any,
) -> registers.Registration:
    request = registers.DeploymentRequest(
        adapter=folder,
        endpoint=registers.endpoint_of(folder.name, url),
        call_sites=tuple(sites),
        decision=decision,
        override=override,
        **options,
    )
    return registers.register(home, request, parity, now=now)


def report(name: str = "desk@11111111", *, passed: bool = True) -> ParityReport:
    return ParityReport(
        model=name,
        items=1,
        tokens=2,
        max_logprob_gap=0.1,
        mean_logprob_gap=0.01,
        greedy_mismatches=0,
        base_gap=1.0,
        differs_from_base=True,
        tolerance=0.4,
        passed=passed,
        reasons=() if passed else ("the endpoint answers like the base model",),
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def adapter(home: Home, name: str = "desk@11111111") -> Path:
    prompts = CallSitePrompts(templates=(), request_type="intent")
    card = Adapter(
        name=name,
        task="desk",
        base_model=BaseModel(name="org/base", revision="abc", path="/models/base"),
        rank=16,
        dataset="desk@22222222",
        call_sites={"desk.intent": prompts, "desk.urgency": prompts},
        chat_template_sha256="c" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
    )
    folder = home.adapters / name
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(card))
    assert adapters.load(folder) == card
    return folder


def decision(tmp_path: Path, **changes: object) -> Path:
    fields = {"task": "desk", "verdict": "build", "expires": "2027-02-23", "candidates": {"any": "thing"}} | changes
    path = tmp_path / "desk@2026-11-23-0a0a0a0a.yaml"
    path.write_text("".join(f"{key}: {_yaml(value)}\n" for key, value in fields.items()))
    return path


def _yaml(value: object) -> str:
    """Lists and mappings in the syntax that YAML shares with JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else str(value)


def test_a_build_verdict_deploys_the_adapter_for_all_of_its_call_sites(home: Home, tmp_path: Path) -> None:
    done = deploy(home, adapter(home), URL, [], decision(tmp_path), None, report(), now=NOW)
    assert done.registered
    table = deployments.load(home.deployments)
    assert {entry.call_site for entry in table.entries} == {"desk.intent", "desk.urgency"}
    deployed = table.lookup("desk.intent", {"plan": "free"})
    assert deployed is not None
    assert (deployed.adapter, deployed.endpoint.base_url, deployed.endpoint.model) == (
        "desk@11111111",
        URL,
        "desk@11111111",
    )
    assert (deployed.decision, deployed.override, deployed.since) == ("desk@2026-11-23-0a0a0a0a.yaml", None, NOW)
    assert done.lines()[0].startswith("desk@11111111 answers desk.intent, desk.urgency at Tier 1")


@pytest.mark.parametrize("verdict", ["buy", "wait"])
def test_another_verdict_is_refused_and_named(home: Home, tmp_path: Path, verdict: str) -> None:
    chosen = decision(tmp_path, verdict=verdict)
    done = deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW)
    assert not done.registered
    assert f'is "{verdict}", not "build"' in done.reasons[0]
    assert not home.deployments.exists()


@pytest.mark.parametrize("built", ["null", "desk@22222222"])
def test_a_verdict_to_build_another_model_is_refused(home: Home, tmp_path: Path, built: str) -> None:
    done = deploy(home, adapter(home), URL, [], decision(tmp_path, adapter=built), None, report(), now=NOW)
    assert not done.registered
    assert "not desk@11111111" in done.reasons[0]


def test_a_verdict_that_names_this_adapter_deploys_it(home: Home, tmp_path: Path) -> None:
    chosen = decision(tmp_path, adapter="desk@11111111")
    assert deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW).registered


def test_neither_decision_nor_override_is_refused(home: Home) -> None:
    done = deploy(home, adapter(home), URL, [], None, "  ", report(), now=NOW)
    assert not done.registered
    assert "--override" in done.lines()[1]


@pytest.mark.parametrize(
    "expires, allowed", [("2026-11-22", False), ("2026-11-23", True), ("2026-11-23T01:00:00Z", True)]
)
def test_a_decision_is_valid_until_its_expiry_day(home: Home, tmp_path: Path, expires: str, allowed: bool) -> None:
    chosen = decision(tmp_path, expires=expires)
    assert deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW).registered is allowed


def test_a_decision_for_another_task_is_refused(home: Home, tmp_path: Path) -> None:
    chosen = decision(tmp_path, task="spam")
    done = deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW)
    assert "is about 'spam', not about 'desk'" in done.reasons[0]


def test_an_invalid_expiry_is_an_error_with_file_and_key(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expires: 'soon'"):
        deploy(home, adapter(home), URL, [], decision(tmp_path, expires="soon"), None, report(), now=NOW)


def test_an_overrides_reason_stays_in_the_history_after_rollback(home: Home) -> None:
    deploy(home, adapter(home), URL, ["desk.intent"], None, REASON, report(), now=NOW)
    done = registers.rollback(home, "desk.intent", now=NOW)
    assert done.adapter is None
    table = deployments.load(home.deployments)
    assert table.entries == ()
    assert [change.action for change in table.history] == ["register", "rollback"]
    assert table.history[0].now is not None
    assert table.history[0].now.override == REASON


def test_a_failed_parity_check_cannot_be_overridden(home: Home) -> None:
    done = deploy(home, adapter(home), URL, [], None, REASON, report(passed=False), now=NOW)
    assert not done.registered
    assert "failed the parity check: the endpoint answers like the base model" in done.reasons[0]
    assert not home.deployments.exists()


def test_a_parity_report_of_another_adapter_is_an_error(home: Home) -> None:
    with pytest.raises(InputError, match="was of 'desk@99999999'"):
        deploy(home, adapter(home), URL, [], None, REASON, report("desk@99999999"), now=NOW)


def test_an_untrained_call_site_is_an_error(home: Home) -> None:
    with pytest.raises(InputError, match=r"not trained for mail\.spam, only for desk\.intent, desk\.urgency"):
        deploy(home, adapter(home), URL, ["mail.spam"], None, REASON, report(), now=NOW)


def test_an_endpoint_on_another_machine_needs_https_or_allow_http(home: Home) -> None:
    folder, url = adapter(home), "http://10.0.0.7:8000/v1"
    with pytest.raises(ConfigError, match="http"):
        deploy(home, folder, url, [], None, REASON, report(), now=NOW)
    endpoint = registers.endpoint_of(folder.name, url, allow_http=True)
    request = registers.DeploymentRequest(adapter=folder, endpoint=endpoint, override=REASON)
    assert registers.register(home, request, report(), now=NOW).registered


@pytest.mark.parametrize(
    "url, base_url",
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9/v1/", "http://127.0.0.1:9/v1"),
        ("https://gpu.example/team/v1", "https://gpu.example/team/v1"),
    ],
)
def test_a_url_without_a_path_gets_v1(url: str, base_url: str) -> None:
    assert registers.endpoint_of("desk@11111111", url).base_url == base_url


@pytest.mark.parametrize("url", ["gpu-box:8000", "ftp://gpu-box/v1", "http://[bad/v1", "https://me:secret@gpu-box/v1"])
def test_an_invalid_url_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registers.endpoint_of("desk@11111111", url, allow_http=True)
    assert "secret" not in str(refused.value)


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[str]:
    """Base URL of a server that requires the key k-123."""
    port = supervise.free_port()
    argv = (sys.executable, "-S", str(Path(model_server.__file__)), str(port), "ok", "--models", "base")
    command = Command(argv, {"VLLM_API_KEY": "k-123"}, "127.0.0.1", port, ("base",))
    with supervise.start(command, tmp_path / "server.log", warm=False) as server:
        yield server.base_url


def test_the_environment_variable_of_a_required_key_is_written_to_the_table(keyed: str) -> None:
    endpoint = registers.endpoint_of("desk@11111111", keyed)
    with pytest.raises(EndpointError, match="--api-key-env"):
        registers.with_key(endpoint, {})
    with_key, key = registers.with_key(endpoint, {"VLLM_API_KEY": "k-123"})
    assert (with_key.api_key_env, key) == ("VLLM_API_KEY", "k-123")
    named = registers.endpoint_of("desk@11111111", keyed, api_key_env="GPU_KEY")
    assert registers.with_key(named, {"GPU_KEY": "k-123"}) == (named, "k-123")
    with pytest.raises(MissingSecret, match="GPU_KEY"):
        registers.with_key(named, {"VLLM_API_KEY": "k-123"})


def test_an_endpoint_without_authentication_gets_no_key_even_if_one_is_set(tmp_path: Path) -> None:
    port = supervise.free_port()
    argv = (sys.executable, "-S", str(Path(model_server.__file__)), str(port), "ok", "--models", "base")
    with supervise.start(Command(argv, {}, "127.0.0.1", port, ("base",)), tmp_path / "log", warm=False) as server:
        endpoint = registers.endpoint_of("desk@11111111", server.base_url)
        assert registers.with_key(endpoint, {"VLLM_API_KEY": "k-123"}) == (endpoint, None)


def test_rollback_restores_the_earlier_adapter_and_warns_if_it_is_down(home: Home) -> None:
    for name in ("desk@11111111", "desk@33333333"):
        deploy(home, adapter(home, name), URL, ["desk.intent"], None, REASON, report(name), now=NOW)
    done = registers.rollback(home, "desk.intent", now=NOW)
    assert done.adapter == "desk@11111111"
    assert "does not answer now" in done.reasons[0]


def test_rollback_without_a_deployment_is_an_error(home: Home) -> None:
    with pytest.raises(NotFound, match=r"nothing is deployed for 'desk\.intent'"):
        registers.rollback(home, "desk.intent")


def test_status_lists_deployments_and_unreachable_endpoints(home: Home) -> None:
    deploy(
        home, adapter(home), URL, ["desk.intent"], None, REASON, report(), cohort={"plan": "free"}, share=0.05, now=NOW
    )
    summary = status(home)
    assert summary.unreachable == (URL,)
    server, deployed, *_ = summary.lines()
    assert server == "no server runs here"
    assert deployed.startswith(f"desk.intent plan=free: desk@11111111 at {URL} (DOES NOT ANSWER, 5% of requests, ")
    assert deployed.endswith(f"since 2026-11-23 12:00, override: {REASON})")


def test_status_of_an_empty_home_reports_no_deployments(home: Home) -> None:
    assert status(home).lines() == ["no server runs here", "nothing is deployed at Tier 1"]


def test_a_shadow_keeps_the_active_deployment_and_is_marked_in_status(home: Home) -> None:
    deploy(home, adapter(home), URL, ["desk.intent"], None, REASON, report(), now=NOW)
    second = adapter(home, "desk@22222222")
    served = report("desk@22222222")
    done = deploy(
        home, second, URL, ["desk.intent"], None, REASON, served, cohort={"language": "de"}, shadow=True, now=NOW
    )
    assert done.lines()[0].startswith("desk@22222222 shadows desk.intent at Tier 1")
    _, answers, shadow = (line for line in status(home).lines() if not line.startswith("  "))
    assert answers.startswith(f"desk.intent: desk@11111111 at {URL} (DOES NOT ANSWER, 100% of requests")
    assert shadow.startswith(
        f"desk.intent language=de: desk@22222222 at {URL} (DOES NOT ANSWER, shadow of 100% of requests"
    )
    with pytest.raises(InputError, match=r"desk@11111111 answers desk\.intent already"):
        deploy(
            home, home.adapters / "desk@11111111", URL, ["desk.intent"], None, REASON, report(), shadow=True, now=NOW
        )


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_must_be_between_0_and_1(home: Home, share: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        deploy(home, adapter(home), URL, [], None, REASON, report(), share=share, now=NOW)


def test_a_cohort_is_parsed_from_pairs() -> None:
    assert registers.cohort_of(["language=de", "plan = free"]) == {"language": "de", "plan": "free"}
    assert registers.cohort_of([]) is None
    with pytest.raises(InputError, match="KEY=VALUE"):
        registers.cohort_of(["german"])


def calibrate(
    home: Home, threshold: float | None, name: str = "desk.intent@0c0c0c0c", *, age_s: int = 0, **fields: object
) -> str:
    """Write a calibration; returns its path in the table."""
    given = {"call_site": "desk.intent", "adapter": "desk@11111111", "dataset": "desk@22222222"}
    given |= {"signal": "min_margin", "rule": "target", "created_at": NOW - timedelta(seconds=age_s)}
    calibration = Calibration(**(given | {"threshold": threshold} | fields))  # type: ignore[arg-type]
    path = home.calibrations / name / calibrations.FILE
    path.parent.mkdir(parents=True)
    path.write_text(config.dump(calibration))
    return f"calibrations/{name}/{calibrations.FILE}"


def deployed(home: Home) -> dict[str, str | None]:
    """Calibration by call site."""
    return {entry.call_site: entry.calibration for entry in deployments.load(home.deployments).entries}


def test_a_cascade_is_deployed_with_the_calibrations_that_it_was_judged_with(home: Home, tmp_path: Path) -> None:
    judged = calibrate(home, 0.9, "desk.intent@05050505", age_s=60)
    calibrate(home, None, "desk.intent@01010101", infeasible="1% cannot be certified")
    calibrate(home, 0.5, "desk.urgency@0d0d0d0d", call_site="desk.urgency")
    chosen = decision(tmp_path, adapter="desk@11111111", calibrations={"desk.intent": "desk.intent@05050505"})
    done = deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW)
    # The cascade had no threshold at the other call site, so the one that is there now was not judged.
    assert deployed(home) == {"desk.intent": judged, "desk.urgency": None}
    assert any("desk.intent@05050505, as the decision judged it" in reason for reason in done.reasons)
    assert any("desk.urgency: no threshold, as the decision's cascade had none here" in r for r in done.reasons)
    deploy(home, home.adapters / "desk@11111111", URL, [], chosen, REASON, report(), now=NOW)
    assert deployed(home)["desk.intent"] == judged
    left = deploy(home, home.adapters / "desk@11111111", URL, [], chosen, None, report(), calibrate=False, now=NOW)
    assert any("desk.intent@05050505" in reason for reason in left.reasons)


def test_a_cohort_built_as_a_cascade_has_its_own_calibrations(home: Home, tmp_path: Path) -> None:
    judged = calibrate(home, 0.9, "desk.intent@05050505", age_s=60)
    calibrate(home, 0.5)
    cohort = {"key": "plan", "value": "free", "verdict": "build", "adapter": "desk@11111111"}
    cohort |= {"calibrations": {"desk.intent": "desk.intent@05050505"}}
    chosen = decision(tmp_path, verdict="wait", cohorts=[cohort])
    folder = adapter(home)
    deploy(home, folder, URL, [], chosen, None, report(), cohort={"plan": "free"}, now=NOW)
    assert deployed(home)["desk.intent"] == judged


def test_a_cascade_with_a_missing_calibration_is_not_deployed(home: Home, tmp_path: Path) -> None:
    chosen = decision(tmp_path, adapter="desk@11111111", calibrations={"desk.intent": "desk.intent@05050505"})
    with pytest.raises(NotFound, match=r"desk\.intent@05050505"):
        deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW)
    assert not home.deployments.exists()


def test_without_a_cascade_the_newest_calibration_with_a_threshold_is_deployed(home: Home) -> None:
    calibrate(home, 0.7, "desk.intent@07070707", age_s=120)
    newest = calibrate(home, 0.9, "desk.intent@05050505", age_s=60)
    calibrate(home, None, "desk.intent@01010101", infeasible="1% cannot be certified")
    done = deploy(home, adapter(home), URL, ["desk.intent"], None, REASON, report(), now=NOW)
    assert deployed(home) == {"desk.intent": newest}
    said = "(desk.intent@05050505, not the newest: desk.intent@01010101 has no threshold)"
    assert any(said in reason for reason in done.reasons)


def test_a_calibration_on_another_dataset_is_reported_but_not_deployed(home: Home) -> None:
    calibrate(home, 0.9, dataset="desk@99999999")
    done = deploy(home, adapter(home), URL, ["desk.intent"], None, REASON, report(), now=NOW)
    assert deployed(home) == {"desk.intent": None}
    assert any("calibrated on desk@99999999, not on desk@22222222" in reason for reason in done.reasons)


def test_the_newest_calibration_is_deployed_and_its_rates_are_reported(home: Home) -> None:
    calibrate(home, 0.9, expected_escalation_rate=0.15, achieved_risk_bound=0.019)
    done = deploy(home, adapter(home), URL, [], None, REASON, report(), now=NOW)
    table = deployments.load(home.deployments)
    by_site = {entry.call_site: entry.calibration for entry in table.entries}
    assert by_site == {"desk.intent": "calibrations/desk.intent@0c0c0c0c/calibration.yaml", "desk.urgency": None}
    assert any("under 0.9 escalate, about 15% of them; of the others at most 1.9% are wrong" in r for r in done.reasons)
    assert any(reason.startswith("desk.urgency: not calibrated") for reason in done.reasons)
    assert "calibrated: desk.intent@0c0c0c0c" in "".join(status(home).lines())


def test_a_calibration_of_another_adapter_or_without_a_threshold_is_left_out(home: Home) -> None:
    calibrate(home, None, infeasible="the signal tells nothing")
    done = deploy(home, adapter(home), URL, ["desk.intent"], None, REASON, report(), now=NOW)
    assert deployments.load(home.deployments).entries[0].calibration is None
    assert any("no threshold" in reason and "the signal tells nothing" in reason for reason in done.reasons)
    folder = adapter(home, "desk@33333333")
    deploy(home, folder, URL, ["desk.intent"], None, REASON, report("desk@33333333"), now=NOW)
    assert deployments.load(home.deployments).entries[0].calibration is None


def test_no_threshold_deploys_without_one(home: Home) -> None:
    calibrate(home, 0.9)
    deploy(home, adapter(home), URL, [], None, REASON, report(), calibrate=False, now=NOW)
    assert all(entry.calibration is None for entry in deployments.load(home.deployments).entries)


def gated(tmp_path: Path, verdict: str = "build", **only: list[str]) -> Path:
    """A decision that promoted only these cohort values."""
    cohorts = [
        {"key": "plan", "value": "free", "verdict": "build", "adapter": "desk@11111111"},
        {"key": "plan", "value": "pro", "verdict": "wait", "adapter": None},
    ]
    return decision(tmp_path, verdict=verdict, adapter="desk@11111111", promotion={"only": only}, cohorts=cohorts)


def test_cohorts_that_were_not_promoted_are_not_sent_to_the_adapter(home: Home, tmp_path: Path) -> None:
    chosen = gated(tmp_path, plan=["free", "unknown"])
    done = deploy(home, adapter(home), URL, [], chosen, None, report(), now=NOW)
    assert any("only for the cohorts that the gate promoted: plan free, unknown" in line for line in done.lines())
    table = deployments.load(home.deployments)
    assert table.lookup("desk.intent", {"plan": "free"}) is not None
    assert table.lookup("desk.intent", {"language": "de"}) is not None
    assert table.lookup("desk.intent", {"plan": "pro"}) is None
    assert "  only for the cohorts that the gate promoted: plan free, unknown" in status(home).lines()


def test_a_cohort_that_was_not_promoted_needs_an_override(home: Home, tmp_path: Path) -> None:
    folder, chosen = adapter(home), gated(tmp_path, plan=["free"])
    arguments = (home, folder, URL, [], chosen)
    done = deploy(*arguments, None, report(), cohort={"plan": "pro"}, now=NOW)
    assert not done.registered
    assert "plan pro" in done.reasons[0]
    assert deploy(*arguments, REASON, report(), cohort={"plan": "pro"}, now=NOW).registered
    assert deploy(*arguments, None, report(), cohort={"plan": "free"}, now=NOW).registered


def test_a_cohort_with_its_own_build_verdict_is_deployed_although_the_task_is_not(home: Home, tmp_path: Path) -> None:
    folder, chosen = adapter(home), gated(tmp_path, verdict="wait")
    done = deploy(home, folder, URL, [], chosen, None, report(), cohort={"plan": "free"}, now=NOW)
    assert done.registered
    done = deploy(home, folder, URL, [], chosen, None, report(), cohort={"plan": "pro"}, now=NOW)
    assert 'is "wait", not "build"' in done.reasons[0]


def test_a_call_site_that_was_not_promoted_gets_no_deployment(home: Home, tmp_path: Path) -> None:
    folder, chosen = adapter(home), gated(tmp_path, call_site=["desk.intent"])
    done = deploy(home, folder, URL, [], chosen, None, report(), now=NOW)
    assert done.call_sites == ("desk.intent",)
    assert any("desk.urgency" in reason for reason in done.reasons)
    refused = deploy(home, folder, URL, ["desk.urgency"], chosen, None, report(), now=NOW)
    assert not refused.registered


def test_a_shadow_sees_every_cohort(home: Home, tmp_path: Path) -> None:
    chosen = gated(tmp_path, plan=["free"])
    deploy(home, adapter(home), URL, [], chosen, None, report(), shadow=True, now=NOW)
    assert deployments.load(home.deployments).lookup("desk.intent", {"plan": "pro"}, shadow=True) is not None
