"""Request log records of one request: one per attempt, with its cost, written before the answer is sent."""

from datetime import UTC, datetime

from router.attempt import Attempt
from router.request import ChatRequest
from router.routing import Route
from router.services import Services
from traffic.prices import billed_params
from traffic.record import Purpose, Record, Usage, Visibility
from traffic.usage import completed


class Records:
    """Writes one request's records, links each to the previous one, and sums their cost."""

    def __init__(self, request: ChatRequest, route: Route, services: Services) -> None:
        self._request = request
        self._route = route
        self._services = services
        self._parent: str | None = None
        self._cost_usd = 0.0
        self._unpriced = False

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts so far; None if any billed attempt has no known price."""
        return None if self._unpriced else self._cost_usd

    def attempt(
        self, attempt: Attempt, number: int, purpose: Purpose, escalated: str | None, latency_ms: float | None = None
    ) -> None:
        """Log a finished attempt; `latency_ms`: its duration, if it finished earlier."""
        endpoint, prepared = attempt.target.endpoint, attempt.target.prepared
        # Own machines are paid by the hour and have a token price only if `price_model` is set.
        price_name = endpoint.price_model if endpoint.own else endpoint.price_name
        usage = self._usage(attempt)
        cost = self._services.prices.cost_usd(
            usage, price_name, endpoint.provider_name, attempt.ts, service_tier=attempt.service_tier
        )
        outcome = attempt.outcome
        billed = usage is not None or outcome.kind in ("answered", "rejected") or attempt.forwarding
        if cost.usd is not None:
            self._cost_usd += cost.usd
        elif billed:
            self._unpriced = True
        error = None
        if outcome.kind != "answered":
            error = f"rejected: {outcome.reason}" if outcome.kind == "rejected" else outcome.reason
            error = f"{error}: {outcome.detail}" if outcome.detail else error
        request, identity = self._request, self._identity(number)
        record = Record(
            id=identity,
            request_id=request.id,
            purpose=purpose,
            attempt=number,
            parent_id=self._parent,
            ts=attempt.ts,
            trace_id=request.trace_id,
            session_id=request.session_id,
            call_site=request.call_site,
            feature=request.call_site,
            request_type=self._route.request_type,
            visibility=self._visibility,
            cohort=request.cohort,
            user_id=request.user_id,
            customer_id=request.customer_id,
            messages=request.tree["messages"],
            tools=request.tools,
            response_format=request.body.response_format,
            params=billed_params(request.params, attempt.service_tier),
            rule=self._route.verdict.rule,
            source_format="native",
            tier=attempt.target.tier,
            endpoint=endpoint.name,
            provider=endpoint.provider_name,
            model=attempt.target.model,
            deployment=prepared.deployment.title if prepared is not None else None,
            adapter=prepared.deployment.adapter if prepared is not None else None,
            template=prepared.template if prepared is not None else None,
            output=attempt.output,
            usage=usage,
            confidence=attempt.confidence,
            escalated=escalated,
            status=attempt.status,
            error=error,
            ttft_ms=attempt.ttft_ms,
            latency_ms=latency_ms if latency_ms is not None else attempt.elapsed_ms(),
            cost_usd=cost.usd,
            price_source=cost.source,
        )
        self._services.metrics.attempt(record, outcome.kind, billed=billed and not endpoint.own)
        self._services.log.write(record)
        self._advance(identity)

    def _usage(self, attempt: Attempt) -> Usage | None:
        """The usage the endpoint reported; for an interrupted stream, completed with an estimate."""
        if attempt.outcome.kind != "failed" or not (attempt.forwarding or attempt.usage is not None):
            return attempt.usage
        return completed(attempt.usage, self._request.estimated_usage(attempt.output))

    def without_attempt(self, status: int, message: str, tier: int | None) -> None:
        """Log a request that was sent to no endpoint."""
        request, identity = self._request, self._identity(1)
        self._services.log.write(
            Record(
                id=identity,
                request_id=request.id,
                ts=datetime.now(UTC),
                trace_id=request.trace_id,
                session_id=request.session_id,
                call_site=request.call_site,
                feature=request.call_site,
                request_type=self._route.request_type,
                visibility=self._visibility,
                cohort=request.cohort,
                user_id=request.user_id,
                customer_id=request.customer_id,
                messages=request.tree["messages"],
                tools=request.tools,
                response_format=request.body.response_format,
                params=request.params,
                rule=self._route.verdict.rule,
                source_format="native",
                status=status,
                error=message,
                tier=tier,
            )
        )
        self._advance(identity)

    @property
    def _visibility(self) -> Visibility:
        return self._route.entry.visibility if self._route.entry is not None else "unknown"

    def _identity(self, number: int) -> str:
        """Record id. The first attempt has the request's id, which links a client's retries to it."""
        return self._request.id if number == 1 else f"{self._request.id}-{number}"

    def _advance(self, identity: str) -> None:
        self._parent = identity
        self._services.counts["attempts"] += 1
