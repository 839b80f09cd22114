"""Sends alerts to a webhook in Slack's format, and writes Prometheus rules over the router's metrics."""

import os
import re
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import msgspec

from pipeline.alerts import Alert, AlertsSummary
from pipeline.alerts.config import AlertsConfig
from pipeline.pages import render
from traffic.errors import ConfigError, EndpointError, MissingSecret
from traffic.tiers import is_loopback

TIMEOUT_S = 10.0
_MAX_ALERTS = 20


def message(summary: AlertsSummary) -> bytes:
    """One message for all alerts: `text` for notifications, `blocks` to read."""
    alerts = summary.alerts[:_MAX_ALERTS]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": _markdown(alert)[:2900]}} for alert in alerts]
    titles = "; ".join(_escaped(alert.title) for alert in alerts)
    return msgspec.json.encode({"text": f"{len(summary.alerts)} fasttier alerts: {titles}"[:2900], "blocks": blocks})


def send(summary: AlertsSummary, settings: AlertsConfig) -> None:
    """Post the alerts. The URL is a secret and never shown. Raises: ConfigError, MissingSecret, EndpointError."""
    variable = settings.webhook_url_env
    if variable is None:
        raise ConfigError("alerts.yaml: webhook_url_env: name the environment variable that holds the webhook's URL")
    url = os.environ.get(variable, "").strip()
    if not url:
        raise MissingSecret(f"environment variable {variable} is not set: it holds the URL of the alerts' webhook")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ConfigError(f"the URL in {variable} must begin with https:// (or http:// on this machine)")
    request = urllib.request.Request(  # noqa: S310 -- the scheme was checked
        url, data=message(summary), headers={"content-type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise EndpointError(f"the webhook in {variable} answered {error.code}") from None
    except OSError as error:
        raise EndpointError(f"the webhook in {variable} does not answer: {type(error).__name__}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that alerts only go to the configured URL."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def rules(settings: AlertsConfig) -> str:
    """A Prometheus rules file over the router's `/metrics`."""
    budget = settings.budgets.get("total")
    return render("prometheus_rules.yaml.j2", hourly_usd=budget / 730 if budget else None)


def _markdown(alert: Alert) -> str:
    since = f" since {alert.since}" if alert.since else ""
    return "\n".join([f"*{_escaped(alert.title)}*{since}", *(_escaped(line) for line in alert.detail)])


def _escaped(text: str) -> str:
    """Escapes names from the log, which must not become links or mentions."""
    return re.sub(r"[*_~`]", "", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
