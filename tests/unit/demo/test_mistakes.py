"""Simulated errors of a model."""

import datetime as dt
import random
from collections import Counter
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from demo import mistakes, orders
from demo.callsites import SITES, Site
from traffic.callsites import Checks
from traffic.checks import failed_checks

TIER_1 = [site for site in SITES if site.tier == 1]
CHECKS = {
    "classification": Checks(labels=mistakes.tickets.LABELS),
    "extraction": Checks(json=True, json_schema=orders.RESPONSE_FORMAT["json_schema"]["schema"]),
    "rewrite": Checks(),
}
FAULTS_OF_FORM = {"off_list_label", "invalid_json", "truncated_output"}


@given(st.integers(), st.sampled_from(TIER_1))
def test_a_wrong_answer_is_well_formed_but_incorrect(seed: int, site: Site) -> None:
    rng = random.Random(seed)
    site_rows = site.write(rng, "en", dt.date(2026, 11, 3))
    assert site_rows.answer is not None
    answer = mistakes.wrong(site.task, site_rows.text, site_rows.answer, rng)
    assert answer != site_rows.answer
    assert failed_checks(answer, "stop", CHECKS[site.task]) == ()


@given(st.integers(), st.sampled_from(TIER_1))
def test_format_faults_fail_the_checks(seed: int, site: Site) -> None:
    rng = random.Random(seed)
    site_rows = site.write(rng, "de", dt.date(2026, 11, 3))
    assert site_rows.answer is not None
    faulty = mistakes.faulty(site.task, site_rows.text, site_rows.answer, rng)
    assert faulty.text != site_rows.answer
    failed = failed_checks(faulty.text, faulty.finish_reason, CHECKS[site.task])
    assert bool(failed) >= (faulty.fault in FAULTS_OF_FORM)


def test_all_kinds_of_faults_occur() -> None:
    rng = random.Random(0)
    seen: Counter[str | None] = Counter()
    for site in TIER_1 * 100:
        site_rows = site.write(rng, "en", dt.date(2026, 11, 3))
        seen[mistakes.faulty(site.task, site_rows.text, site_rows.answer or "", rng).fault] += 1
    assert set(seen) == set(get_args(mistakes.Fault))
