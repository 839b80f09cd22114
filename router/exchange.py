"""One request from route to answer: asks endpoints as the escalation state machine decides, and logs each attempt.

Endpoints that are known to be broken or throttled (`router.health`) are skipped. If all are, the request waits briefly
for the one that is ready first, and then gets a 503 with Retry-After.

Every attempt is logged before the last byte of the answer is sent. The attempt without an `error` is the one that the
client received; an answer that was judged unusable has an `error` that begins with `rejected`.
"""

import asyncio
import functools
import math
import time
from datetime import UTC, datetime
from operator import attrgetter

import msgspec

from router import client as replies
from router.attempt import Attempt, Forward, ask, discard, payload_of
from router.client import Client, Headers, header_list, header_text
from router.corrections import FOREIGN_THINKING
from router.records import Records
from router.refusal_text import RefusalText
from router.request import ChatRequest, Dialect
from router.routing import Route
from router.services import Services
from router.target import Target
from router.wire.dialects import CLIENTS, left_out
from router.wire.errors import CONTEXT_LENGTH_EXCEEDED, error_text
from router.wire.refusals import stated_param
from traffic import retry_and_escalation
from traffic.checks import canonical
from traffic.record import Purpose
from traffic.retry_and_escalation import Asking, Confirm, Escalate, GiveUp, Keep, Outcome, Retry, ServeUnsure

_context_tokens = attrgetter("endpoint.context_tokens")

CLIENT_LEFT = 499
"""nginx's status for a client that disconnected; there is no standard one."""


class PendingAnswer(msgspec.Struct, frozen=True):
    """An answer that waits for its consistency run."""

    attempt: Attempt
    number: int
    purpose: Purpose
    latency_ms: float


class Exchange:
    """Answers one request."""

    def __init__(self, request: ChatRequest, route: Route, client: Client, services: Services, began: float) -> None:
        self.request = request
        self.route = route
        self.client = client
        self.services = services
        self.began = began
        self.trace: bytes | None = None
        self._dialect = CLIENTS[request.dialect]
        self._levels = route.levels
        self._limits = services.serving.limits
        if request.deadline_s is not None and request.deadline_s < self._limits.deadline_s:
            self._limits = msgspec.structs.replace(self._limits, deadline_s=request.deadline_s)
        self._escalated = route.passed_over
        self._purpose: Purpose = "serve"
        self._pending: PendingAnswer | None = None
        self._unsure: tuple[Attempt, Asking] | None = None
        """A Tier 1 answer below its threshold, kept in case Tier 2 fails."""
        self._rejects_thinking: str | None = None
        """Name of the endpoint that rejected the signatures of this request's thinking."""
        self._degraded: str | None = None
        """Reason why the low-confidence answer was sent."""
        self._records = Records(request, route, services)

    async def run(self) -> None:
        """Run attempts until there is an answer or an error, log them, and send the result."""
        metrics = self.services.metrics
        metrics.in_flight += 1
        try:
            self._note_passed_over()
            if not self.route.levels:
                await self._unserved()
                return
            state = await self._start()
            if state is not None:
                await self._follow(state)
        finally:
            metrics.in_flight -= 1

    def _note_passed_over(self) -> None:
        reason, site = self.route.passed_over, self.request.call_site
        if reason is not None:
            self.services.metrics.passed_over(reason, site)
            if reason == "no_template" and site is not None:
                self.services.alerts.no_template(site, time.perf_counter())

    async def _start(self) -> Asking | None:
        """The first attempt, with the available endpoints; None if there are none and the client got an error."""
        levels = self.route.levels
        regular = len(levels) - self.route.overflow
        give_up = None
        while True:
            now = time.perf_counter()
            chosen, wait_s = self._choose(now)
            if not any(chosen[:regular]):
                chosen = self._last_resort(now)
            if any(chosen[:regular]):
                break
            if give_up is None:
                give_up = now + min(self.services.serving.breaker.wait_s, self._left_s())
            if now + wait_s >= give_up:
                await self._unavailable(wait_s)
                return None
            # With jitter, so that waiting requests do not all wake at once: only one of them may probe.
            await asyncio.sleep(wait_s * (1 + 0.1 * self.services.jitter()))
        first = levels[0][0]
        if first.prepared is not None and first not in chosen[0]:
            self._escalated = f"unavailable: {self.services.health.why(first.endpoint, now)}"
            self.services.metrics.passed_over("unavailable", self.request.call_site)
        overflow = sum(map(bool, chosen[regular:]))
        self._levels = tuple(filter(None, chosen))
        top = self._levels[0][0]
        return retry_and_escalation.start(
            tuple(map(len, self._levels)),
            self._limits,
            contexts=[tuple(map(_context_tokens, level)) for level in self._levels],
            overflow=overflow,
            confirm=top.prepared is not None and self.route.entry is not None and self.route.entry.high_stakes,
            serve_unsure=self.route.entry is None or self.route.entry.serves_unsure,
        )

    def _choose(self, now: float) -> tuple[list[tuple[Target, ...]], float]:
        """The available endpoints per level, and the shortest wait for an unavailable one."""
        chosen: list[tuple[Target, ...]] = []
        health, least_s = self.services.health, math.inf
        for number, level in enumerate(self.route.levels):
            if len(level) == 1:
                wait_s = health.ready_in(level[0].endpoint, now)
                free: tuple[Target, ...] = level if wait_s <= 0 else ()
            else:
                indexes, wait_s = health.choose([target.endpoint for target in level], now)
                free = tuple([level[index] for index in indexes])
            chosen.append(free)
            if not free and number < len(self.route.levels) - self.route.overflow:
                least_s = min(least_s, wait_s)
        return chosen, least_s

    def _last_resort(self, now: float) -> list[tuple[Target, ...]]:
        """One resting or overloaded endpoint, for when no other is available."""
        for level in self.route.levels[: len(self.route.levels) - self.route.overflow]:
            indexes = self.services.health.last_resort([target.endpoint for target in level], now)
            if indexes:
                return [tuple(level[index] for index in indexes)]
        return []

    async def _follow(self, state: Asking) -> None:
        while True:
            attempt = await self._ask(state)
            outcome = attempt.outcome if self._pending is None else self._compare(self._pending, attempt)
            step = state.next(outcome, time.perf_counter() - self.began, self.services.jitter())
            if isinstance(step, Confirm):
                self._pending = PendingAnswer(attempt, state.attempt, self._purpose, attempt.elapsed_ms())
                self._purpose = "consistency"
                state = step.state
                continue
            if attempt.outcome.unsure:
                self._unsure = attempt, state
            if isinstance(step, GiveUp) and attempt.outcome.kind == "answered":
                attempt.outcome = Outcome("rejected", step.reason)
            confirmed = self._log_pending(outcome)
            self._records.attempt(attempt, state.attempt, self._purpose, self._escalated)
            if isinstance(step, Keep):
                await self._send(confirmed or attempt, state)
                self._shadow(state.attempt + 1)
                return
            if isinstance(step, ServeUnsure):
                await self._serve_unsure(step)
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
            self.services.metrics.escalation(step.reason)
        if step.after_s:
            await asyncio.sleep(step.after_s)

    # ------------------------------------------------------------------------------- the consistency run

    def _compare(self, pending: PendingAnswer, second: Attempt) -> Outcome:
        """Outcome of the consistency run; if the answers differ, `second` is rejected like the first."""
        if second.outcome.kind != "answered":
            return Outcome("rejected", f"consistency: {second.outcome.reason}")
        prepared = pending.attempt.target.prepared
        assert prepared is not None
        texts = [canonical(attempt.output.text or "", prepared.checks) for attempt in (pending.attempt, second)]
        if texts[0] != texts[1]:
            second.outcome = Outcome("rejected", f"consistency: {texts[1][:60]!r} the second time")
        return second.outcome

    def _log_pending(self, outcome: Outcome) -> Attempt | None:
        """Log the pending answer with its outcome and return its attempt; None if there is none."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        pending.attempt.outcome = outcome
        self._records.attempt(pending.attempt, pending.number, pending.purpose, self._escalated, pending.latency_ms)
        return pending.attempt

    # ------------------------------------------------------------------------------------ one attempt

    async def _ask(self, state: Asking) -> Attempt:
        target = self._levels[state.level][state.index]
        if state.confirming:
            target = msgspec.structs.replace(target, temperature=self.services.serving.consistency_temperature)
        endpoint = self.services.learned.apply(target.endpoint, routed=self._is_routed(target))
        if self._rejects_thinking == target.endpoint.name:
            target = msgspec.structs.replace(target, without_thinking=True)
        if endpoint is not target.endpoint:
            target = msgspec.structs.replace(target, endpoint=endpoint)
        attempt = Attempt(target, datetime.now(UTC), time.perf_counter())

        async def forward(events: bytes) -> None:
            if not self.client.started:
                await self.client.start(200, replies.EVENTS, self._headers(attempt, state.attempt))
            await self.client.write(events)

        try:
            await self._make(attempt, forward, self._left_s())
        except asyncio.CancelledError:
            reason = "client disconnected" if self.client.left else "the router was stopped"
            cancelled = Outcome("failed", reason, forwarded=True)
            self._log_pending(cancelled)
            attempt.outcome, attempt.status = cancelled, CLIENT_LEFT
            self._records.attempt(attempt, state.attempt, self._purpose, self._escalated)
            self._count(target, "client_left" if self.client.left else "stopped")
            raise
        if attempt.outcome.kind == "refused" and self._learn(attempt):
            self.services.counts["corrections"] += 1
            attempt.outcome = msgspec.structs.replace(attempt.outcome, learned=True)
        return attempt

    def _is_routed(self, target: Target) -> bool:
        """Whether the router chose the model and its sampling, so that the client cannot know what the model takes."""
        return target.prepared is None and self.request.body.model != target.model

    def _learn(self, attempt: Attempt) -> bool:
        target, outcome = attempt.target, attempt.outcome
        refusal = RefusalText(
            outcome.detail,
            stated_param(attempt.body),
            unsupported=outcome.refusal == "unsupported",
            sent=attempt.sent,
        )
        if target.endpoint.kind == "anthropic" and not target.without_thinking and refusal.search(FOREIGN_THINKING):
            # Concerns this conversation, of which another provider wrote a part: nothing to remember.
            self._rejects_thinking = target.endpoint.name
            return True
        return self.services.learned.learn(
            target.endpoint,
            refusal,
            lambda endpoint: payload_of(self.request, msgspec.structs.replace(target, endpoint=endpoint)),
            routed=self._is_routed(target),
        )

    async def _make(self, attempt: Attempt, forward: Forward, left_s: float) -> None:
        """Run the attempt with its time limit, and report the outcome to `router.health`."""
        serving, target, health = self.services.serving, attempt.target, self.services.health
        allowed_s = min(target.endpoint.total_timeout_s, serving.tier_timeouts_s.get(target.tier, serving.deadline_s))
        if target.prepared is not None:
            allowed_s = min(allowed_s, serving.tier1_timeout_s)
        budget_s = max(min(allowed_s, left_s), 0.001)
        ticket = health.begin(target.endpoint, attempt.began)
        outcome = None
        try:
            await ask(attempt, self.request, self.services.upstream, forward, budget_s=budget_s, trace=self.trace)
            outcome = attempt.outcome
        finally:
            # With much less time than usual, a timeout is not the endpoint's fault.
            cut = budget_s < allowed_s / 2
            health.end(ticket, outcome, serving.breaker, time.perf_counter(), cut=cut)

    def _left_s(self) -> float:
        return self._limits.deadline_s - (time.perf_counter() - self.began)

    # ---------------------------------------------------------------------------------------- a shadow

    def _shadow(self, number: int) -> None:
        """Start the shadow request, after the client has its answer."""
        target, services = self.route.shadow, self.services
        if target is None:
            return
        free, _ = services.health.choose([target.endpoint], time.perf_counter())
        if not free or not services.shadows.start(self._ask_shadow(target, number), services.serving.max_shadows):
            services.metrics.shadows_dropped += 1

    async def _ask_shadow(self, target: Target, number: int) -> None:
        attempt = Attempt(target, datetime.now(UTC), time.perf_counter())
        try:
            await self._make(attempt, discard, self.services.serving.deadline_s)
        except asyncio.CancelledError:
            attempt.outcome = Outcome("failed", "the router was stopped")
            raise
        finally:
            self._records.attempt(attempt, number, "shadow", None)

    # ------------------------------------------------------------------------------------- the answer

    async def _send(self, attempt: Attempt, state: Asking) -> None:
        self._count(attempt.target, "answered")
        if attempt.forwarding:
            await self.client.end(attempt.body)
            return
        headers = self._headers(attempt, state.attempt, complete=True)
        if self.request.stream:
            events = self._dialect.as_stream(attempt.body, usage=self.request.wants_usage)
            await self.client.reply(200, events, headers, replies.EVENTS)
        else:
            await self.client.reply(200, attempt.body, headers)

    async def _serve_unsure(self, step: ServeUnsure) -> None:
        assert self._unsure is not None
        attempt, state = self._unsure
        self._degraded = step.reason
        self.services.counts["degraded"] += 1
        self.services.metrics.degraded(self.request.call_site)
        await self._send(attempt, state)

    async def _fail(self, attempt: Attempt, state: Asking, step: GiveUp) -> None:
        self.services.counts["errors"] += 1
        self._count(attempt.target, step.kind)
        status, kind = client_status(step, attempt.outcome, attempt.status, self.request.dialect)
        message = f"endpoint {attempt.target.endpoint.name}: {step.reason}"
        if self.route.missing and status >= 500:
            status, kind = 503, "no_endpoint"
            message += f"; others were not asked: environment variable {', '.join(self.route.missing)} is not set"
        if self.client.started:
            # The status line was sent: an error event without [DONE] tells the client that its answer is incomplete.
            error = self._dialect.error(status, message, kind)
            await self.client.end(self._dialect.error_event(error, self.request))
            return
        body, code = None, None
        if step.kind == "refused" and status == attempt.status:
            if attempt.outcome.refusal == "context_length" and status != 413:
                # Agents compact their conversation at this error, which has this status (TGI: 422, llama.cpp: 500).
                status, code = 400, CONTEXT_LENGTH_EXCEEDED
            body = self._dialect.error_of(status, attempt.body, code)
            message = error_text(attempt.body) or message
        if body is None:
            body = self._dialect.error(status, message, kind, code)
        headers = list(self._headers(attempt, state.attempt, complete=True))
        # The router has retried already; retries by the client's SDK would multiply.
        headers.append((b"x-should-retry", b"false"))
        if step.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % (step.retry_after_s + 1)))
        await self.client.reply(status, body, headers)

    async def _unserved(self) -> None:
        """Send the error for a request that no model can be asked for: refused by a rule, or without an endpoint."""
        verdict = self.route.verdict
        if verdict.refuse is not None:
            message = f"{verdict.refuse} (rule {verdict.rule}: {verdict.reason})"
            await self._turn_away(403, "refused_by_rule", message)
        elif self.route.untranslatable is not None:
            message = f"no endpoint can take this request: {self.route.untranslatable}"
            await self._turn_away(400, "invalid_request_error", message)
        else:
            message = f"no endpoint can answer: environment variable {', '.join(self.route.missing)} is not set"
            await self._turn_away(503, "no_endpoint", message)

    async def _unavailable(self, wait_s: float) -> None:
        """Send a 503: no endpoint is available."""
        now = time.perf_counter()
        regular = self.route.levels[: len(self.route.levels) - self.route.overflow]
        endpoints = {target.endpoint.name: target.endpoint for level in regular for target in level}
        reasons = "; ".join(
            f"{name}: {self.services.health.why(endpoint, now)}" for name, endpoint in endpoints.items()
        )
        await self._turn_away(503, "unavailable", f"no endpoint can answer now: {reasons}", retry_after_s=wait_s)

    async def _turn_away(self, status: int, kind: str, message: str, *, retry_after_s: float | None = None) -> None:
        verdict = self.route.verdict
        self.services.counts["errors"] += 1
        self._count(None, kind)
        self._records.without_attempt(status, message, None if status == 403 else verdict.tier)
        headers = header_list(
            {b"x-request-id": self.request.id, b"x-fasttier-rule": verdict.rule, b"x-fasttier-attempts": 0}
        )
        headers.append((b"x-should-retry", b"false"))
        if retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % (retry_after_s + 1)))
        await self.client.reply(status, self._dialect.error(status, message, kind), headers)

    def _headers(self, attempt: Attempt, attempts: int, *, complete: bool = False) -> Headers:
        """`complete`: no further attempt follows, so the cost is final."""
        cost = self._records.cost_usd if complete else None
        target = attempt.target
        identity = self.request.id.encode()
        headers = [(b"x-request-id", identity)]
        if self.request.dialect == "anthropic":
            headers.append((b"request-id", identity))
        headers += _route_headers(target.tier, self.route.verdict.rule, target.endpoint.name, attempts)
        if self._escalated is not None:
            headers.append((b"x-fasttier-escalated", header_text(self._escalated)))
        if self._degraded is not None:
            headers.append((b"x-fasttier-degraded", header_text(self._degraded)))
        if hints := left_out(self.request, target):
            headers.append((b"x-fasttier-left-out", header_text(", ".join(hints))))
        if cost is not None:
            headers.append((b"x-fasttier-cost-usd", (b"%.9f" % cost).rstrip(b"0").rstrip(b".")))
        headers += attempt.headers
        return headers

    def _count(self, target: Target | None, outcome: str) -> None:
        """Count the finished request in the metrics."""
        tier, endpoint = (target.tier, target.endpoint.name) if target is not None else (0, "")
        seconds = time.perf_counter() - self.began
        self.services.metrics.request(tier, self.route.verdict.rule, endpoint, outcome, seconds)


@functools.lru_cache(maxsize=1024)
def _route_headers(tier: int, rule: str, endpoint: str, attempts: int) -> list[tuple[bytes, bytes]]:
    return header_list(
        {
            b"x-fasttier-tier": tier,
            b"x-fasttier-rule": rule,
            b"x-fasttier-endpoint": endpoint,
            b"x-fasttier-attempts": attempts,
        }
    )


def client_status(step: GiveUp, outcome: Outcome, upstream_status: int, dialect: Dialect) -> tuple[int, str]:
    """Status and error type for the client if no endpoint answered.

    `outcome` and `upstream_status` are those of the last attempt.
    """
    if step.kind == "refused":
        # A refusal of the router's key, credit, quota or model is not the client's error.
        if outcome.refusal == "account":
            return 502, "upstream_error"
        return upstream_status, "invalid_request_error"
    if step.kind == "deadline" or step.reason.startswith("timeout"):
        return 504, "upstream_timeout"
    # A stream may report a 429 after it has begun: the step is a failure then, with that status.
    if step.kind == "throttled" or upstream_status == 429:
        return 429, "rate_limit_exceeded"
    if upstream_status in (503, 529):
        return (529 if dialect == "anthropic" else 503), "overloaded_error"
    return 502, "upstream_error"
