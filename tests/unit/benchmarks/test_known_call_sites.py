import msgspec
import pytest

from benchmarks.known_call_sites import main, measured, slim
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.known_call_sites import KnownCallSite


def _site(author: str, tier: int, **measurements: float) -> KnownCallSite:
    behaviour = Behaviour(sampled=100, answered=100, **measurements)  # type: ignore[arg-type]
    return KnownCallSite(
        author=author, company=f"{author}'s", name="s", tier=tier, requests=10, prompt="name it", behaviour=behaviour
    )


def test_a_written_call_site_reads_back_as_it_was() -> None:
    site = _site("one", 2, code_share=0.125)
    assert msgspec.convert(slim(site), KnownCallSite) == site


def test_a_written_call_site_holds_no_default_but_its_counts() -> None:
    assert set(slim(_site("one", 2, code_share=0.5))["behaviour"]) == {"sampled", "answered", "code_share"}


def test_each_company_is_measured_with_its_requests() -> None:
    both = [
        _site(author, tier, code_share=share)
        for author in ("one", "two")
        for tier, share in ((1, 0.0), (2, 0.1), (3, 1.0)) * 8
    ]
    figures = measured(both)
    assert {name: each["requests"] for name, each in figures.items()} == {"one's": 240, "two's": 240}


@pytest.mark.parametrize("company", ["bank", None])
def test_a_company_that_is_known_or_has_no_name_is_not_added(company: str | None) -> None:
    named = [] if company is None else ["--company", company]
    with pytest.raises(SystemExit) as ended:
        main(["--log", "log", "--gold", "gold", "--author", "one", *named])
    assert ended.value.code == 2
