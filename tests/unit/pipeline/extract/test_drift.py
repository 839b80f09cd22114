from datetime import timedelta

from pipeline.dataset import Drift
from pipeline.extract.card import strata
from pipeline.extract.drift import report
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import START, row


def log(late: int, days: int = 28) -> list[Row]:
    """Ten rows a day; the last ones have the answer `wheels` and a different template."""
    rows = [row(n, ts=START + timedelta(days=n / 10)) for n in range(10 * days)]
    for each in rows[len(rows) - late :]:
        each.answer, each.template = "wheels", "89abcdef"
    return rows


def test_new_labels_and_templates_are_reported_with_their_daily_share() -> None:
    rows = log(late=20)
    drift = report({"train": rows[:265], "test": rows[265:]}, ["shop.topic"])
    (label,), (template,) = drift.labels, drift.templates
    assert (label.value, label.rows, label.train_rows, label.test_rows) == ("wheels", 20, 5, 15)
    assert label.first_seen == rows[260].ts.isoformat()
    shares = list(label.daily_share.values())
    assert (len(shares), shares[0], shares[-1]) == (7, 0.0, 1.0)
    assert template.value == "89abcdef"


def test_rare_late_labels_and_old_labels_are_not_drift() -> None:
    assert report({"train": log(late=3), "test": []}, ["shop.topic"]) == Drift()
    assert report({"train": log(late=100), "test": []}, ["shop.topic"]) == Drift()


def test_drift_in_a_short_log_is_measured_on_the_later_half() -> None:
    assert [label.rows for label in report({"train": log(late=25, days=7)}, ["shop.topic"]).labels] == [25]
    assert report({"train": log(late=40, days=7)}, ["shop.topic"]).labels == ()


def test_free_text_answers_are_not_counted_as_labels() -> None:
    drift = report({"train": log(late=20)}, [])
    assert drift.labels == ()
    assert len(drift.templates) == 1


def test_strata_count_rows_by_split_call_site_cohort_and_label() -> None:
    parts = {"train": [row(1), row(2, answer="brakes", cohort={})], "test": [row(3, call_site="shop.other")]}
    assert strata(parts, ("plan",), ["shop.topic"]) == {
        "call_site": {"shop.topic": {"train": 2, "test": 0}, "shop.other": {"train": 0, "test": 1}},
        "label": {"brakes": {"train": 1, "test": 0}, "gears": {"train": 1, "test": 0}},
        "plan": {"free": {"train": 1, "test": 1}, "unknown": {"train": 1, "test": 0}},
    }
