"""Errors for clients whose request no endpoint answered."""

from typing import Literal

import pytest

from router.exchange import client_status
from router.request import Dialect
from traffic.retry_and_escalation import GiveUp, Outcome


@pytest.mark.parametrize(
    "outcome, upstream_status, kind, dialect, expected",
    [
        (Outcome("refused", refusal="unsupported"), 422, None, "openai", (422, "invalid_request_error")),
        (Outcome("refused", refusal="account"), 401, None, "openai", (502, "upstream_error")),
        # The router's quota is exhausted, not the client's rate limit.
        (Outcome("refused", refusal="account"), 429, None, "openai", (502, "upstream_error")),
        (Outcome("throttled"), 429, None, "openai", (429, "rate_limit_exceeded")),
        # An error of an event after the beginning of the answer.
        (Outcome("failed", "error: slow down", forwarded=True), 429, None, "openai", (429, "rate_limit_exceeded")),
        (Outcome("throttled", "status 429"), 429, "deadline", "openai", (504, "upstream_timeout")),
        (Outcome("failed", "status 503"), 503, "deadline", "openai", (504, "upstream_timeout")),
        (Outcome("failed", "timeout: no answer"), 0, None, "openai", (504, "upstream_timeout")),
        (Outcome("failed"), 529, None, "openai", (503, "overloaded_error")),
        (Outcome("failed"), 503, None, "anthropic", (529, "overloaded_error")),
        (Outcome("failed"), 500, None, "openai", (502, "upstream_error")),
        (Outcome("rejected"), 200, None, "openai", (502, "upstream_error")),
    ],
)
def test_the_clients_status_names_whose_error_it_is(
    outcome: Outcome,
    upstream_status: int,
    kind: Literal["deadline"] | None,
    dialect: Dialect,
    expected: tuple[int, str],
) -> None:
    step = GiveUp(kind or outcome.kind, outcome.reason)
    assert client_status(step, outcome, upstream_status, dialect) == expected
