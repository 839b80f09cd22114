from datetime import UTC, datetime

from pipeline.serving_tags import wanted
from traffic.deployments import Deployment, Deployments
from traffic.tiers import Endpoint

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


def entry(call_site: str, adapter: str, **fields: object) -> Deployment:
    endpoint = Endpoint(name=adapter, kind="vllm", base_url="http://127.0.0.1:9/v1", model=adapter)
    return Deployment(call_site=call_site, adapter=adapter, endpoint=endpoint, since=AT, **fields)  # type: ignore[arg-type]


def test_the_tag_says_what_an_adapter_answers_for_whom_and_since_when() -> None:
    table = Deployments(
        entries=(
            entry("desk.intent", "desk@1", share=0.1, cohort={"language": "de"}),
            entry("desk.urgency", "desk@1", only={"plan": ("free", "pro")}),
            entry("desk.intent", "desk@2", shadow=True),
        )
    )
    assert wanted(table) == {
        "desk@1": "answers 10% of desk.intent language=de since 2026-11-24T08:00:00Z; "
        "answers 100% of desk.urgency plan in free|pro since 2026-11-24T08:00:00Z",
        "desk@2": "shadow of 100% of desk.intent since 2026-11-24T08:00:00Z",
    }


def test_an_empty_table_wants_no_tags() -> None:
    assert wanted(Deployments()) == {}
