"""Probes of resting endpoints: a short request of the router's own, so that no client pays for finding out.

An endpoint rests after it refused our key, credit or model (`router.health`); the first answer to a probe wakes it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from router import request as requests
from router.attempt import Attempt, ask
from router.records import Records
from router.routing import Route
from router.services import Services
from router.target import Target
from traffic.policy import Verdict
from traffic.tiers import Endpoint

EVERY_S = 1.0
BUDGET_S = 20.0
MAX_TOKENS = 16
"""The least that every provider takes."""
_BODY = b'{"model": "probe", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 16}'


async def keep_probing(services: Callable[[], Services], endpoints: Callable[[], Iterable[Endpoint]]) -> None:
    """Probe what is due, once a second, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        due = services().health.due(time.perf_counter())
        for endpoint in endpoints() if due else ():
            if (endpoint.name, endpoint.base_url) in due:
                await probe(endpoint, services())


async def probe(endpoint: Endpoint, services: Services) -> None:
    """Ask once; the attempt is logged with the purpose `audit`, because it may cost something."""
    request = requests.parse(_BODY, {})
    attempt = Attempt(Target(endpoint, 2, None, MAX_TOKENS), datetime.now(UTC), time.perf_counter())
    await ask(attempt, request, services.upstream, _to_nobody, budget_s=BUDGET_S)
    verdict = Verdict(2, "probe", "whether the endpoint accepts our key, credit and model again")
    route = Route(verdict=verdict, request_type="chat", entry=None)
    Records(request, route, services).attempt(attempt, 1, "audit", None)
    services.health.probed(endpoint, attempt.outcome, time.perf_counter())


async def _to_nobody(events: bytes) -> None:
    del events
