"""The generated company's traffic: requests over time, outcome of each attempt, later feedback.

Contains users on three plans and in three languages, office hours, repeated questions, retries after errors, an outage,
answers from the gateway's cache, streams without usage, feedback, and errors of the model.
"""

import datetime as dt
import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from demo import mistakes, payloads, words
from demo.callsites import SITES, Exchange, Site
from demo.gold import Gold
from demo.grammar import weighted, zipf
from demo.mistakes import Answer

PLANS = {"free": 0.5, "pro": 0.36, "enterprise": 0.14}
FAULT_RATE = 0.05
"""Share of faulty answers at Tier 1 call sites: the logged model is good, not perfect."""
_ERROR_RATE, _OUTAGE_RATE = 0.012, 0.5
_ATTEMPTS = 3
_HIT_RATE = 0.3
"""Cache hits among repeated help-desk questions in the second half of the log, when the gateway's cache is on."""
_NO_USAGE_RATE = 0.05
_READ_RATE = {"digest.nightly": 0.06}
"""Share of a background call site's answers that were opened, where the application records it."""
_HOURS = (1, 1, 1, 1, 1, 2, 5, 14, 30, 38, 36, 32, 22, 28, 34, 33, 28, 20, 11, 7, 5, 4, 3, 2)
_WEEKEND = 0.25


class _User(NamedTuple):
    id: str
    plan: str
    language: str
    customer: str | None


class _Request(NamedTuple):
    """A message to a call site, before its outcome."""

    ts: dt.datetime
    site: Site
    user: _User
    language: str
    exchange: Exchange
    duplicate_of: str | None


class Line(NamedTuple):
    """One logged attempt with its ground truth."""

    ts: dt.datetime
    row: dict[str, Any]
    gold: Gold


class Company:
    """The traffic of one company, from a single random generator."""

    def __init__(self, rng: random.Random, requests: int, days: int, first_day: dt.date) -> None:
        self._rng, self._requests, self._days, self._first_day = rng, requests, days, first_day
        customers = [f"c_{rng.getrandbits(32):08x}" for _ in range(max(4, requests // 150))]
        self._users = [self._user(customers) for _ in range(max(8, requests // 12))]
        self._known: dict[tuple[str, str], dict[str, tuple[Exchange, str]]] = {}
        """Earlier messages by call site and language: text -> message and id of its first attempt."""
        outage = dt.datetime.combine(first_day + dt.timedelta(days=days // 2), dt.time(10, 5), dt.UTC)
        self._outage = (outage, outage + dt.timedelta(minutes=25))
        self._cache_since = dt.datetime.combine(first_day + dt.timedelta(days=days // 2), dt.time(), dt.UTC)

    @property
    def subscriptions(self) -> list[tuple[str, str]]:
        """Pairs of paying customer and plan."""
        return sorted({(user.customer, user.plan) for user in self._users if user.customer is not None})

    def lines(self) -> Iterator[Line]:
        """All attempts, ordered by request time."""
        shares = [site.share for site in SITES]
        for ts in sorted(self._time() for _ in range(self._requests)):
            yield from self._attempts(ts, self._rng.choices(SITES, shares)[0])

    def _user(self, customers: list[str]) -> _User:
        plan, language = weighted(self._rng, PLANS), weighted(self._rng, words.LANGUAGES)
        customer = None if plan == "free" else self._rng.choice(customers)
        return _User(f"u_{self._rng.getrandbits(40):010x}", plan, language, customer)

    def _time(self) -> dt.datetime:
        weights = [
            _WEEKEND if (self._first_day + dt.timedelta(days=n)).weekday() >= 5 else 1.0 for n in range(self._days)
        ]
        day = self._rng.choices(range(self._days), weights)[0]
        hour = self._rng.choices(range(24), _HOURS)[0]
        midnight = dt.datetime.combine(self._first_day, dt.time(), dt.UTC)
        return midnight + dt.timedelta(days=day, hours=hour, microseconds=self._rng.randrange(3_600_000_000))

    def _request(self, ts: dt.datetime, site: Site, identity: str) -> _Request:
        rng = self._rng
        user = zipf(rng, self._users, 0.6)
        language = "en" if site.english_only else user.language
        earlier = self._known.setdefault((site.name, language), {})
        if earlier and rng.random() < site.repeated:
            text = zipf(rng, list(earlier))
        else:
            exchange = site.write(rng, language, ts.date())
            text = exchange.text
            if text not in earlier:
                earlier[text] = (exchange, identity)
                return _Request(ts, site, user, language, exchange, None)
        return _Request(ts, site, user, language, *earlier[text])

    def _attempts(self, ts: dt.datetime, site: Site) -> Iterator[Line]:
        rng = self._rng
        identity = self._identity()
        request = self._request(ts, site, identity)
        tags = self._tags(request)
        first, start = identity, ts
        for attempt in range(1, _ATTEMPTS + 1):
            latency = self._latency(request)
            asking = payloads.Asking(identity, site, _messages(request), tags, start, latency)
            retry_of = None if attempt == 1 else first
            if rng.random() < self._error_rate(start):
                status = rng.choices((429, 500), (3, 1))[0]
                failed = payloads.failed(asking._replace(latency_s=0.05 + 0.2 * rng.random()), status)
                yield Line(start, failed, self._gold(request, identity, attempt, retry_of, None))
                start += dt.timedelta(seconds=0.5 + 2**attempt * (0.5 + rng.random()))
                identity = self._identity()
                continue
            yield self._answered(request, asking, attempt, retry_of)
            return

    def _answered(self, request: _Request, asking: payloads.Asking, attempt: int, retry_of: str | None) -> Line:
        rng, site, exchange = self._rng, request.site, request.exchange
        answer = Answer(exchange.answer or "")
        if site.tier == 1 and rng.random() < FAULT_RATE:
            answer = mistakes.faulty(site.task, exchange.text, exchange.answer or "", rng)
        hit = (
            site.task == "classification"
            and request.duplicate_of is not None
            and asking.start > self._cache_since
            and rng.random() < _HIT_RATE
        )
        counted = not (site.streams and rng.random() < _NO_USAGE_RATE)
        tags = asking.tags | self._later(request, asking, answer)
        if hit:
            asking = asking._replace(latency_s=0.01 + 0.02 * rng.random())
        row = payloads.answered(asking._replace(tags=tags), answer, exchange.tool_calls, hit=hit, counted=counted)
        return Line(asking.start, row, self._gold(request, asking.id, attempt, retry_of, answer))

    def _later(self, request: _Request, asking: payloads.Asking, answer: Answer) -> dict[str, Any]:
        """Feedback the application records later: whether the answer was read, and its rating."""
        rng, site = self._rng, request.site
        read = asking.start + dt.timedelta(seconds=asking.latency_s + rng.expovariate(1 / 600))
        later: dict[str, Any] = {}
        if site.name in _READ_RATE:
            later["consumed_at"] = read.isoformat() if rng.random() < _READ_RATE[site.name] else None
        if site.tier == 1 and site.task != "rewrite":
            wrong = answer.fault is not None
            if rng.random() < (0.25 if wrong else 0.01):
                later["feedback"] = {"thumb": "down" if wrong else "up", "at": read.isoformat()}
                if wrong and rng.random() < 0.6:
                    later["feedback"]["corrected"] = request.exchange.answer
        return later

    def _tags(self, request: _Request) -> dict[str, Any]:
        site, user = request.site, request.user
        return {
            "call_site": site.name,
            "feature": site.feature,
            "plan": user.plan,
            "language": request.language,
            "user_id": user.id,
            "customer_id": user.customer,
            "session_id": f"s_{self._rng.getrandbits(48):012x}",
            "visibility": "background" if site.background else "human",
        }

    def _gold(
        self, request: _Request, identity: str, attempt: int, retry_of: str | None, answer: Answer | None
    ) -> Gold:
        site, exchange = request.site, request.exchange
        has_single_answer = answer is not None and exchange.gold is not None
        return Gold(
            id=identity,
            feature=site.name,
            task_type=site.task_type,
            tier_true=site.tier,
            question=exchange.text,
            answer=exchange.answer,
            tool_calls=exchange.tool_calls,
            gold=exchange.gold,
            gold_kind=exchange.gold_kind,
            language=request.language,
            cohort=request.user.plan,
            duplicate_of=request.duplicate_of,
            retry_of=retry_of,
            attempt=attempt,
            injected_fault=answer.fault if answer is not None else None,
            logged_correct=answer.fault is None if answer is not None and has_single_answer else None,
        )

    def _error_rate(self, at: dt.datetime) -> float:
        return _OUTAGE_RATE if self._outage[0] <= at < self._outage[1] else _ERROR_RATE

    def _latency(self, request: _Request) -> float:
        """Seconds: log-normal around 0.35 s, and 12 ms per token of the answer."""
        length = len(request.exchange.answer or str(request.exchange.tool_calls)) / 4
        return math.exp(self._rng.gauss(math.log(0.35), 0.4)) + 0.012 * length

    def _identity(self) -> str:
        return f"chatcmpl-{self._rng.getrandbits(96):024x}"


def _messages(request: _Request) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": request.site.system},
        {"role": "user", "content": request.exchange.text},
    ]
