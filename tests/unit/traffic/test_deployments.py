from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import deployments
from traffic.deployments import Deployment, Deployments, rolled_back, with_deployment
from traffic.errors import ConfigError, NotFound
from traffic.tiers import Endpoint

GOLDEN = Path(__file__).parents[2] / "golden" / "deployments_v1.yaml"
START = datetime(2026, 11, 23, tzinfo=UTC)
SITES = ("desk.intent", "mail.spam")
COHORTS: tuple[dict[str, str] | None, ...] = (None, {"plan": "free"})


def deployment(number: int, site: str = SITES[0], cohort: dict[str, str] | None = None) -> Deployment:
    name = f"desk@{number:08x}"
    return Deployment(
        call_site=site,
        cohort=cohort,
        adapter=name,
        endpoint=Endpoint(name=name, kind="vllm", base_url="http://127.0.0.1:8000/v1", model=name),
        since=START + timedelta(hours=number),
        override="test",
    )


def test_version_1_of_the_file_keeps_loading() -> None:
    table = deployments.load(GOLDEN)
    newest, pilot = table.entries
    assert (newest.adapter, newest.share, newest.endpoint.api_key_env) == ("desk@22222222", 0.1, "SERVE_KEY")
    assert newest.since == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert (pilot.cohort, pilot.share, pilot.override) == ({"language": "de"}, 1.0, "pilot")
    assert table.history[0].now == pilot


def test_a_saved_table_reads_back_equal(tmp_path: Path) -> None:
    table = rolled_back(
        with_deployment(with_deployment(Deployments(), deployment(1)), deployment(2)), SITES[0], at=START
    )
    deployments.save(tmp_path / "deployments.yaml", table)
    assert deployments.load(tmp_path / "deployments.yaml") == table


def test_a_missing_file_means_no_deployments(tmp_path: Path) -> None:
    assert deployments.load_or_empty(tmp_path / "deployments.yaml") == Deployments()
    with pytest.raises(NotFound):
        deployments.load(tmp_path / "deployments.yaml")


def test_a_broken_file_is_an_error_with_its_location(tmp_path: Path) -> None:
    path = tmp_path / "deployments.yaml"
    path.write_text("entries: [{call_site: x}]")
    with pytest.raises(ConfigError, match=r"deployments\.yaml: .*adapter"):
        deployments.load_or_empty(path)


def test_the_most_specific_matching_cohort_answers() -> None:
    table = with_deployment(Deployments(), deployment(1))
    table = with_deployment(table, deployment(2, cohort={"plan": "free"}))
    table = with_deployment(table, deployment(3, cohort={"plan": "free", "language": "de"}))

    def answers(**cohort: str) -> str | None:
        entry = table.lookup(SITES[0], cohort)
        return entry.adapter if entry else None

    assert answers() == "desk@00000001"
    assert answers(plan="pro", language="de") == "desk@00000001"
    assert answers(plan="free") == "desk@00000002"
    assert answers(plan="free", language="de", region="eu") == "desk@00000003"


def test_an_unknown_call_site_has_no_deployment() -> None:
    table = with_deployment(Deployments(), deployment(1))
    assert table.lookup("mail.spam", {}) is None
    assert table.lookup(None, {}) is None


def test_a_new_deployment_replaces_the_one_for_the_same_call_site_and_cohort() -> None:
    table = with_deployment(with_deployment(Deployments(), deployment(1)), deployment(2))
    assert [entry.adapter for entry in table.entries] == ["desk@00000002"]
    assert table.history[-1].before == deployment(1)


def test_rolling_back_twice_goes_back_two_and_then_to_nothing() -> None:
    table = Deployments()
    for number in (1, 2, 3):
        table = with_deployment(table, deployment(number))
    restored = []
    for _ in range(3):
        table = rolled_back(table, SITES[0], at=START)
        current = table.lookup(SITES[0], {})
        restored.append(current.adapter if current else None)
    assert restored == ["desk@00000002", "desk@00000001", None]
    with pytest.raises(NotFound, match=r"nothing is deployed for 'desk\.intent'.*deployed: none"):
        rolled_back(table, SITES[0], at=START)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 50) | st.none()), max_size=30))
def test_the_table_behaves_like_one_stack_per_call_site_and_cohort(steps: list[tuple[int, int, int | None]]) -> None:
    table = Deployments()
    stacks: dict[tuple[int, int], list[Deployment]] = {}
    for order, (site, cohort, number) in enumerate(steps):
        stack = stacks.setdefault((site, cohort), [])
        if number is not None:
            deployed = deployment(1000 * order + number, SITES[site], COHORTS[cohort])
            stack.append(deployed)
            table = with_deployment(table, deployed)
        elif stack:
            stack.pop()
            table = rolled_back(table, SITES[site], at=START, cohort=COHORTS[cohort])
    for (site, cohort), stack in stacks.items():
        assert table.current(SITES[site], COHORTS[cohort]) == (stack[-1] if stack else None)
    assert len(table.entries) == sum(1 for stack in stacks.values() if stack)


def test_a_shadow_is_kept_beside_the_active_deployment_until_it_becomes_active() -> None:
    old, new = deployment(1), deployment(2)
    shadow = msgspec.structs.replace(new, shadow=True)
    table = with_deployment(with_deployment(Deployments(), old), shadow)
    assert (table.lookup(SITES[0], {}), table.lookup(SITES[0], {}, shadow=True)) == (old, shadow)
    promoted = with_deployment(table, new)
    assert promoted.entries == (new,)
    assert rolled_back(promoted, SITES[0], at=START).entries == (old,)


def test_a_rollback_removes_a_shadow_only_on_request_or_without_an_active_deployment() -> None:
    old, shadow = deployment(1), msgspec.structs.replace(deployment(2), shadow=True)
    table = with_deployment(with_deployment(Deployments(), old), shadow)
    assert rolled_back(table, SITES[0], at=START, shadow=True).entries == (old,)
    table = rolled_back(table, SITES[0], at=START)
    assert table.entries == (shadow,)
    assert rolled_back(table, SITES[0], at=START).entries == ()


def test_requests_need_a_promoted_value_for_each_key_of_a_deployment() -> None:
    entry = msgspec.structs.replace(deployment(1), only={"plan": ("free", "unknown"), "language": ("de",)})
    table = Deployments(entries=(entry,))
    assert table.lookup(entry.call_site, {"plan": "free", "language": "de"}) == entry
    assert table.lookup(entry.call_site, {"language": "de"}) == entry
    assert table.lookup(entry.call_site, {"plan": "pro", "language": "de"}) is None
    assert table.lookup(entry.call_site, {"plan": "free"}) is None
