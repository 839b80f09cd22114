"""The call sites of the invented company."""

import datetime as dt
import random

import pytest

from demo.callsites import SITES, Site
from demo.words import LANGUAGES


def test_call_site_shares_sum_to_1() -> None:
    assert sum(site.share for site in SITES) == pytest.approx(1)


def test_most_of_the_traffic_is_tier_1() -> None:
    assert sum(site.share for site in SITES if site.tier == 1) > 0.6


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_call_site_generates_a_message_with_a_good_answer(site: Site, language: str) -> None:
    site_rows = site.write(random.Random(0), language, dt.date(2026, 11, 3))
    assert site_rows.text
    assert (site_rows.answer is None) == (site_rows.tool_calls is not None)
    assert (site_rows.gold is None) == (site_rows.gold_kind is None)
