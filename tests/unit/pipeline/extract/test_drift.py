from datetime import timedelta

from pipeline.dataset import Drift
from pipeline.extract.card import strata
from pipeline.extract.drift import report
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import START, row


def log(late: int, days: int = 28) -> list[Row]:
    """Ten rows a day; the last ones have the answer `wheels` and another template."""
    rows = [row(n, ts=START + timedelta(days=n / 10)) for n in range(10 * days)]
    for each in rows[len(rows) - late :]:
        each.answer, each.template = "wheels", "89abcdef"
    return rows


def test_a_label_and_a_template_that_came_up_in_the_last_week_are_named_with_their_share_of_each_day() -> None:
    rows = log(late=20)
    found = report({"train": rows[:265], "test": rows[265:]}, ["shop.topic"])
    (label,), (template,) = found.labels, found.templates
    assert (label.value, label.rows, label.train_rows, label.test_rows) == ("wheels", 20, 5, 15)
    assert label.first_seen == rows[260].ts.isoformat()
    shares = list(label.daily_share.values())
    assert (len(shares), shares[0], shares[-1]) == (7, 0.0, 1.0)
    assert template.value == "89abcdef"


def test_a_rare_label_that_happens_to_be_late_is_no_drift_and_neither_is_an_old_one() -> None:
    assert report({"train": log(late=3), "test": []}, ["shop.topic"]) == Drift()
    assert report({"train": log(late=100), "test": []}, ["shop.topic"]) == Drift()


def test_of_a_short_log_the_later_half_counts() -> None:
    assert [each.rows for each in report({"train": log(late=25, days=7)}, ["shop.topic"]).labels] == [25]
    assert report({"train": log(late=40, days=7)}, ["shop.topic"]).labels == ()


def test_answers_of_a_call_site_without_labels_are_no_labels() -> None:
    found = report({"train": log(late=20)}, [])
    assert found.labels == ()
    assert len(found.templates) == 1


def test_strata_count_every_split_of_every_call_site_cohort_and_label() -> None:
    parts = {"train": [row(1), row(2, answer="brakes", cohort={})], "test": [row(3, call_site="shop.other")]}
    assert strata(parts, ("plan",), ["shop.topic"]) == {
        "call_site": {"shop.topic": {"train": 2, "test": 0}, "shop.other": {"train": 0, "test": 1}},
        "label": {"brakes": {"train": 1, "test": 0}, "gears": {"train": 1, "test": 0}},
        "plan": {"free": {"train": 1, "test": 1}, "unknown": {"train": 1, "test": 0}},
    }
