"""One request from its route to its answer: asks endpoints as the escalation machine says, logs each attempt.

Every attempt is in the log before the last byte of the answer leaves, and the log says which of them the client
got: the one without an `error`. An answer that was judged unusable has an `error` that begins with `rejected`.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from router import client as replies
from router.attempt import Attempt, ask
from router.client import Client, Headers, error_body, header_list
from router.dialects import openai
from router.request import ChatRequest
from router.request_log import RequestLog
from router.routing import Route, Target
from router.upstream import Upstream
from traffic import escalation
from traffic.escalation import Asking, Escalate, GiveUp, Keep, Outcome, Retry
from traffic.prices import PriceTable
from traffic.record import Purpose, Record
from traffic.tiers import Serving

CLIENT_LEFT = 499
"""nginx's status for a client that hung up; no standard has one."""


class Services(msgspec.Struct, frozen=True):
    """What an exchange needs of the process."""

    upstream: Upstream
    log: RequestLog
    prices: PriceTable
    serving: Serving
    counts: Counter[str]
    """For `/health`: requests, attempts, escalations, errors."""
    jitter: Callable[[], float] = random.random


class Exchange:
    """Answers one request."""

    def __init__(self, request: ChatRequest, route: Route, client: Client, services: Services, began: float) -> None:
        self.request = request
        self.route = route
        self.client = client
        self.services = services
        self.began = began
        self.trace: bytes | None = None
        self._escalated = route.passed_over
        self._purpose: Purpose = "serve"
        self._parent: str | None = None

    async def run(self) -> None:
        """Ask until there is an answer or an error, log, and send it."""
        if not self.route.rungs:
            await self._unserved()
            return
        state = escalation.start([len(rung) for rung in self.route.rungs], self.services.serving.limits)
        while True:
            attempt = await self._ask(state)
            step = state.next(attempt.outcome, time.perf_counter() - self.began, self.services.jitter())
            self._log(attempt, state.attempt)
            if isinstance(step, Keep):
                await self._send(attempt, state)
                return
            if isinstance(step, GiveUp):
                await self._fail(attempt, state, step)
                return
            await self._prepare_next(step)
            state = step.state

    async def _prepare_next(self, step: Retry | Escalate) -> None:
        self._purpose = "retry"
        if isinstance(step, Escalate):
            self._purpose = "escalation"
            self._escalated = step.reason
            self.services.counts["escalations"] += 1
        if step.after_s:
            await asyncio.sleep(step.after_s)

    # ------------------------------------------------------------------------------------ one attempt

    async def _ask(self, state: Asking) -> Attempt:
        attempt = Attempt(self.route.rungs[state.rung][state.place], datetime.now(UTC), time.perf_counter())

        async def forward(events: bytes) -> None:
            if not self.client.started:
                await self.client.start(200, replies.EVENTS, self._headers(attempt.target, state.attempt))
            await self.client.write(events)

        budget_s = self._budget_s(attempt.target)
        try:
            await ask(attempt, self.request, self.services.upstream, forward, budget_s=budget_s, trace=self.trace)
        except asyncio.CancelledError:
            why = "client disconnected" if self.client.left else "the router was stopped"
            attempt.outcome, attempt.status = Outcome("failed", why, forwarded=True), CLIENT_LEFT
            self._log(attempt, state.attempt)
            raise
        return attempt

    def _budget_s(self, target: Target) -> float:
        """Seconds for this attempt: the endpoint's, and no more than is left of the request's."""
        left = self.services.serving.deadline_s - (time.perf_counter() - self.began)
        budget = min(target.endpoint.total_timeout_s, left)
        if target.prepared is not None:
            budget = min(budget, self.services.serving.tier1_timeout_s)
        return max(budget, 0.001)

    # ------------------------------------------------------------------------------------- the answer

    async def _send(self, attempt: Attempt, state: Asking) -> None:
        if attempt.forwarding:
            await self.client.end(attempt.body)
            return
        headers = self._headers(attempt.target, state.attempt)
        if self.request.stream:
            events = openai.as_stream(attempt.body, usage=self.request.wants_usage) + openai.DONE
            await self.client.reply(200, events, headers, replies.EVENTS)
        else:
            await self.client.reply(200, attempt.body, headers)

    async def _fail(self, attempt: Attempt, state: Asking, step: GiveUp) -> None:
        self.services.counts["errors"] += 1
        status, kind = _client_status(attempt, step)
        message = f"endpoint {attempt.target.endpoint.name}: {step.reason}"
        if self.route.missing and status >= 500:
            status, kind = 503, "no_endpoint"
            message += f"; others were not asked: environment variable {', '.join(self.route.missing)} is not set"
        if self.client.started:
            # The status line is out: an error event, and no [DONE], tell the client that its answer is not whole.
            await self.client.end(openai.event(error_body(message, kind)))
            return
        body = error_body(message, kind)
        if step.kind == "refused" and status == attempt.status and _is_json_error(attempt.body):
            body = attempt.body
        headers = list(self._headers(attempt.target, state.attempt))
        # The retries were made here: more of them in the client's SDK would multiply.
        headers.append((b"x-should-retry", b"false"))
        if step.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % (step.retry_after_s + 1)))
        await self.client.reply(status, body, headers)

    async def _unserved(self) -> None:
        """No model is asked: a rule refuses the request, or there is nobody to ask."""
        verdict = self.route.verdict
        if verdict.refuse is not None:
            status, kind, message = 403, "refused_by_rule", f"{verdict.refuse} (rule {verdict.rule}: {verdict.reason})"
        else:
            status, kind = 503, "no_endpoint"
            message = f"no endpoint can answer: environment variable {', '.join(self.route.missing)} is not set"
        self.services.counts["errors"] += 1
        now = datetime.now(UTC)
        self._write({"ts": now, "status": status, "error": message, "tier": None if status == 403 else verdict.tier}, 1)
        headers = [
            *header_list({"x-request-id": self.request.id, "x-fasttier-rule": verdict.rule, "x-fasttier-attempts": 0})
        ]
        await self.client.reply(status, error_body(message, kind), [*headers, (b"x-should-retry", b"false")])

    def _headers(self, target: Target, attempts: int) -> Headers:
        return header_list(
            {
                "x-request-id": self.request.id,
                "x-fasttier-tier": target.tier,
                "x-fasttier-rule": self.route.verdict.rule,
                "x-fasttier-endpoint": target.endpoint.name,
                "x-fasttier-attempts": attempts,
                "x-fasttier-escalated": self._escalated,
            }
        )

    # ---------------------------------------------------------------------------------------- the log

    def _log(self, attempt: Attempt, number: int) -> None:
        endpoint, prepared = attempt.target.endpoint, attempt.target.prepared
        # An own machine is paid by the hour: it has a price per token only where one is stated for it.
        priced = endpoint.price_model if endpoint.own else endpoint.price_name
        cost = self.services.prices.cost_usd(attempt.usage, priced, endpoint.provider_name, attempt.ts)
        outcome = attempt.outcome
        error = None
        if outcome.kind != "answered":
            error = f"rejected: {outcome.reason}" if outcome.kind == "rejected" else outcome.reason
        self._write(
            {
                "ts": attempt.ts,
                "tier": attempt.target.tier,
                "endpoint": endpoint.name,
                "provider": endpoint.provider_name,
                "model": attempt.target.model,
                "deployment": prepared.name if prepared is not None else None,
                "adapter": prepared.deployment.adapter if prepared is not None else None,
                "template": prepared.template if prepared is not None else None,
                "output": attempt.output,
                "usage": attempt.usage,
                "confidence": attempt.confidence,
                "escalated": self._escalated,
                "status": attempt.status,
                "error": error,
                "ttft_ms": attempt.ttft_ms,
                "latency_ms": attempt.elapsed_ms(),
                "cost_usd": cost.usd,
                "price_source": cost.source,
            },
            number,
        )

    def _write(self, fields: dict[str, Any], number: int) -> None:
        request, entry = self.request, self.route.entry
        identity = f"{request.id}-{number}"
        self.services.log.write(
            Record(
                id=identity,
                request_id=request.id,
                purpose=self._purpose,
                attempt=number,
                parent_id=self._parent,
                trace_id=request.trace_id,
                session_id=request.session_id,
                call_site=request.call_site,
                feature=request.call_site,
                request_type=self.route.request_type,
                visibility=entry.visibility if entry is not None else "unknown",
                cohort=request.cohort,
                user_id=request.user_id,
                customer_id=request.customer_id,
                messages=request.tree["messages"],
                tools=request.tools,
                response_format=request.body.response_format,
                params=request.params,
                rule=self.route.verdict.rule,
                source_format="native",
                **fields,
            )
        )
        self._parent = identity
        self.services.counts["attempts"] += 1


def _client_status(attempt: Attempt, step: GiveUp) -> tuple[int, str]:
    """Status and error type for the client when nobody could answer."""
    if step.kind == "refused" and attempt.status not in (401, 403):
        return attempt.status, "invalid_request_error"
    if step.kind == "throttled":
        return 429, "rate_limit_exceeded"
    if step.kind == "deadline" or step.reason.startswith("timeout"):
        return 504, "upstream_timeout"
    # 401 and 403 are about our key, not about the client's.
    return 502, "upstream_error"


def _is_json_error(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body, type=dict[str, Any]).get("error"), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
