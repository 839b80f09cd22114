"""Probes resting endpoints with a short request of the router, so that clients' requests are not used for it.

An endpoint rests after it refused our key, credit or model (`router.health`) until it answers a probe.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from router import request as requests
from router.attempt import Attempt, ask, discard
from router.records import Records
from router.routing import Route
from router.services import Services
from router.target import Target
from traffic.policy import Verdict
from traffic.tiers import Endpoint

EVERY_S = 1.0
BUDGET_S = 20.0
MAX_TOKENS = 16
"""The smallest value that every provider accepts."""
_BODY = b'{"model": "probe", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 16}'


async def keep_probing(services: Callable[[], Services], endpoints: Callable[[], Iterable[Endpoint]]) -> None:
    """Once a second, probe the endpoints that are due, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        due = services().health.due(time.perf_counter())
        for endpoint in endpoints() if due else ():
            if (endpoint.name, endpoint.base_url) in due:
                await probe(endpoint, services())


async def probe(endpoint: Endpoint, services: Services) -> None:
    """Send one probe; logged with the purpose `audit`, because it may have a cost."""
    request = requests.parse(_BODY, {})
    attempt = Attempt(Target(endpoint, 2, None, MAX_TOKENS), datetime.now(UTC), time.perf_counter())
    await ask(attempt, request, services.upstream, discard, budget_s=BUDGET_S)
    verdict = Verdict(2, "probe", "whether the endpoint accepts our key, credit and model again")
    route = Route(verdict=verdict, request_type="chat", entry=None)
    Records(request, route, services).attempt(attempt, 1, "audit", None)
    services.health.probed(endpoint, attempt.outcome, time.perf_counter())
