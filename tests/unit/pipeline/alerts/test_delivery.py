import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml

from pipeline.alerts import Alert, AlertsConfig, AlertsSummary, delivery
from traffic.errors import ConfigError, EndpointError, MissingSecret

SETTINGS = AlertsConfig(webhook_url_env="TEST_WEBHOOK")
FOUND = AlertsSummary(
    until="2026-11-14", series=1, observations=10, expected_false_alarms=0.1,
    alerts=(
        Alert(
            kind="change", cause="prompt: a", title="cost per request of <!channel> & <https://evil|x>",
            detail=("likely cause: *longer* prompt",), since="2026-11-10T00:00+00:00",
        ),
    ),
)  # fmt: skip


class Webhook(HTTPServer):
    status = 200
    bodies: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    server = Webhook(("127.0.0.1", 0), Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("TEST_WEBHOOK", f"http://127.0.0.1:{server.server_port}/secret-path")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_alerts_are_posted_in_slacks_format_with_escaped_names(webhook: Webhook) -> None:
    delivery.send(FOUND, SETTINGS)
    (body,) = webhook.bodies
    text = body["blocks"][0]["text"]
    assert text["type"] == "mrkdwn"
    assert "&lt;!channel&gt; &amp; &lt;https://evil|x&gt;" in text["text"]
    assert "<" not in text["text"] + body["text"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_is_an_error_without_its_url(status: int, webhook: Webhook) -> None:
    webhook.status = status
    with pytest.raises(EndpointError) as raised:
        delivery.send(FOUND, SETTINGS)
    assert "secret-path" not in str(raised.value)
    assert len(webhook.bodies) == 1


def test_nothing_is_sent_without_a_url_or_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_WEBHOOK", raising=False)
    with pytest.raises(MissingSecret):
        delivery.send(FOUND, SETTINGS)
    for url in ("http://hooks.example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        monkeypatch.setenv("TEST_WEBHOOK", url)
        with pytest.raises(ConfigError) as raised:
            delivery.send(FOUND, SETTINGS)
        assert url not in str(raised.value)
    with pytest.raises(ConfigError):
        delivery.send(FOUND, AlertsConfig())


@pytest.mark.parametrize("budgets, extra", [({}, 0), ({"total": 730.0}, 1)])
def test_the_prometheus_rules_are_valid_and_use_existing_metrics(budgets: dict[str, float], extra: int) -> None:
    import re

    from router import metrics

    rules = yaml.safe_load(delivery.rules(AlertsConfig(budgets=budgets)))["groups"][0]["rules"]
    assert len(rules) == 7 + extra
    counted = {metric.name for metric in metrics._counted(metrics.Metrics())} | {
        "fasttier_endpoint_circuit",
        "fasttier_reload_error",
    }
    for rule in rules:
        for name in re.findall(r"fasttier_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket)$", "", name) in counted
