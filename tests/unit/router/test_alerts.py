"""Warnings are limited to one per hour."""

import json

from router.alerts import EVERY_S, Alerts


def test_a_call_site_is_warned_about_once_an_hour() -> None:
    lines: list[str] = []
    alerts = Alerts(lines.append)
    for now in (0.0, 1.0, EVERY_S - 1, EVERY_S, EVERY_S + 1):
        alerts.no_template("desk.intent", now)
    alerts.no_template("mail.spam", EVERY_S + 2)
    raised = [json.loads(line) for line in lines]
    assert [(line["event"], line["call_site"]) for line in raised] == [
        ("no_template", "desk.intent"),
        ("no_template", "desk.intent"),
        ("no_template", "mail.spam"),
    ]


def test_health_counts_the_last_hour_only() -> None:
    alerts = Alerts(lambda line: None)
    for now in (0.0, 60.0):
        alerts.no_template("desk.intent", now)
    (warning,) = alerts.warnings(120.0)
    assert warning.startswith("call site desk.intent: ")
    assert "(2 requests since 2 minutes ago)" in warning
    assert alerts.warnings(60.0 + EVERY_S) == []
