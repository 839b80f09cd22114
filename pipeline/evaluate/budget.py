"""Estimated cost of hosted answers, and a spending limit that holds: arithmetic, no requests.

Before every attempt the most it can cost is reserved: one token per byte of the request, and the cap on output
tokens. When the answer arrives, its usage replaces the reservation.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.evaluate.answers import Answer
from traffic.errors import BudgetReached
from traffic.number_format import usd
from traffic.prices import Price
from traffic.record import Usage

CHARS_PER_TOKEN = 4
"""For estimates; reservations use an upper bound."""
_TOKENS_AROUND_MESSAGE = 16
_TOLERANCE_USD = 1e-12


class Budget:
    """USD that one command may spend on hosted models; None: no limit."""

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        self._reserved_usd = 0.0

    @property
    def left_usd(self) -> float:
        """Neither spent nor reserved."""
        return math.inf if self.limit_usd is None else self.limit_usd - self.spent_usd - self._reserved_usd

    def reserve(self, usd: float) -> bool:
        """Reserve an amount; False if it exceeds what is left."""
        # Negated, so that a limit of NaN allows nothing.
        if not usd <= self.left_usd + _TOLERANCE_USD:
            return False
        self._reserved_usd += usd
        return True

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """Replace a reservation by the amount paid."""
        self._reserved_usd = max(0.0, self._reserved_usd - reserved_usd)
        self.spent_usd += paid_usd


class Meter:
    """Cost of one candidate's requests, charged to a budget that candidates share."""

    def __init__(self, price: Price | None, budget: Budget, share: float = 1.0) -> None:
        """`share`: share of the list price that is paid, 0.5 through a batch API."""
        self.price = price
        self.budget = budget
        self.share = share

    def expected_usd(self, body: dict[str, Any], input_tokens: int | None, output_tokens: int) -> float:
        """Estimate from the logged tokens of the same request, or from its characters."""
        if self.price is None:
            return 0.0
        tokens = input_tokens or math.ceil(prompt_chars(body) / CHARS_PER_TOKEN)
        return self.share * self.price.cost_usd(Usage(input_uncached=tokens, output=output_tokens))

    def most_usd(self, body: dict[str, Any]) -> float:
        """Upper bound for one attempt: no token is shorter than a byte, and the output is capped.

        Raises: BudgetReached if there is a limit and the request has no cap on output tokens.
        """
        if self.price is None:
            return 0.0
        sent = body | body.get("extra_body", {})
        tokens = len(msgspec.json.encode(body)) + _TOKENS_AROUND_MESSAGE * (1 + len(body["messages"]))
        cap = int(sent.get("max_tokens") or sent.get("max_completion_tokens") or 0)
        if not cap and self.budget.limit_usd is not None:
            raise BudgetReached("a request without a cap on output tokens has no largest cost; set max_tokens")
        output = cap * int(sent.get("n") or 1)
        uncached, cache_write = Usage(input_uncached=tokens, output=output), Usage(cache_write=tokens, output=output)
        return self.share * max(self.price.cost_usd(uncached), self.price.cost_usd(cache_write))

    def paid_usd(self, answer: Answer, most_usd: float) -> float:
        """Cost of an attempt: by its usage, 0 if it was refused, the upper bound if its fate is unknown."""
        if answer.usage is not None and self.price is not None:
            return self.share * self.price.cost_usd(answer.usage)
        return 0.0 if answer.refused else most_usd

    def settle(self, most_usd: float, answer: Answer | None) -> None:
        """Book an attempt; None: it was abandoned, and may have been billed."""
        self.budget.settle(most_usd, most_usd if answer is None else self.paid_usd(answer, most_usd))

    def reached(self, candidate: str, most_usd: float) -> BudgetReached:
        """The error that stops a candidate whose next attempt is not affordable."""
        return BudgetReached(
            f"candidate {candidate}: budget {usd(self.budget.limit_usd or 0.0)}, spent "
            f"{usd(self.budget.spent_usd)}, next request may cost {usd(most_usd)}; answers so far are "
            "stored, continue with the same command and a larger --budget"
        )


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Expected cost of asking a hosted candidate."""

    candidate: str
    requests: int
    """Requests that will be paid for."""
    stored: int
    """Items whose answer is stored already."""
    usd: float | None
    """Expected; None without a price."""
    most_usd: float | None
    batch: bool = False

    def times(self, candidate: str, count: int) -> "Estimate":
        """The same requests `count` times."""
        return msgspec.structs.replace(
            self,
            candidate=candidate,
            requests=count * self.requests,
            stored=0,
            usd=None if self.usd is None else count * self.usd,
            most_usd=None if self.most_usd is None else count * self.most_usd,
        )

    def line(self) -> str:
        """`estimate gpt: 180 requests (20 stored), about $0.0123, at most $0.0456`."""
        stored = f" ({self.stored} stored)" if self.stored else ""
        requests = f"estimate {self.candidate}: {self.requests} requests{stored}"
        if self.usd is None or self.most_usd is None:
            return f"{requests}, price unknown"
        batch = ", batch API" if self.batch else ""
        return f"{requests}, about {usd(self.usd)}, at most {usd(self.most_usd)} without retries{batch}"


def total_line(estimates: Iterable[Estimate], budget: Budget) -> str:
    """Sum over candidates, next to the budget."""
    total_usd = sum(estimate.usd or 0.0 for estimate in estimates)
    line = f"estimate total: about {usd(total_usd)}"
    if budget.limit_usd is None:
        return f"{line}; no budget (set one with --budget USD)"
    line += f", budget {usd(budget.limit_usd)}"
    if total_usd > budget.limit_usd:
        line += ": the run will stop at the budget and keep its answers; --limit N asks fewer items"
    return line


def prompt_chars(body: dict[str, Any]) -> int:
    """Characters of a request that count as its prompt."""
    texts = sum(len(str(message.get("content") or "")) for message in body["messages"])
    schema = body.get("response_format")
    return texts + (len(msgspec.json.encode(schema)) if schema else 0)
