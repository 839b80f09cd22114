"""What hosted answers will cost, and a limit that is never exceeded: arithmetic, no requests.

Before a request is sent, the most that it can cost is set aside: every byte of it a token, and as many output
tokens as it may have. When the answer is there, what its usage says was paid takes that place.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.evaluate.answers import Answer
from traffic import formats
from traffic.prices import Price
from traffic.record import Usage

CHARS_PER_TOKEN = 4
"""For estimates only; the limit is kept with an upper bound."""
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
        """What is neither spent nor set aside."""
        return math.inf if self.limit_usd is None else self.limit_usd - self.spent_usd - self._reserved_usd

    def reserve(self, usd: float) -> bool:
        """Set an amount aside; False if it is not left."""
        if usd > self.left_usd + _TOLERANCE_USD:
            return False
        self._reserved_usd += usd
        return True

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """What was set aside has become what was paid."""
        self._reserved_usd = max(0.0, self._reserved_usd - reserved_usd)
        self.spent_usd += paid_usd


class Meter:
    """Costs of one candidate's requests, drawn from a budget that others draw from too."""

    def __init__(self, price: Price | None, budget: Budget, share: float = 1.0) -> None:
        """`share`: of the list price, what is paid: a half through a batch API."""
        self.price = price
        self.budget = budget
        self.share = share
        self.spent_usd = 0.0

    def expected_usd(self, body: dict[str, Any], input_tokens: int | None, output_tokens: int) -> float:
        """A guess: tokens as logged for the same request, else by its characters."""
        if self.price is None:
            return 0.0
        tokens = input_tokens or math.ceil(prompt_chars(body) / CHARS_PER_TOKEN)
        return self.share * self.price.cost_usd(Usage(input_uncached=tokens, output=output_tokens))

    def most_usd(self, body: dict[str, Any]) -> float:
        """An upper bound: no token is shorter than a byte, and the answer is capped."""
        if self.price is None:
            return 0.0
        tokens = len(msgspec.json.encode(body)) + _TOKENS_AROUND_MESSAGE * (1 + len(body["messages"]))
        output = int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)
        plain, written = Usage(input_uncached=tokens, output=output), Usage(cache_write=tokens, output=output)
        return self.share * max(self.price.cost_usd(plain), self.price.cost_usd(written))

    def paid_usd(self, answer: Answer, most_usd: float) -> float:
        """What an answer cost: by its usage; nothing where the server refused; all that it may where nobody knows."""
        if answer.usage is not None and self.price is not None:
            return self.share * self.price.cost_usd(answer.usage)
        return 0.0 if answer.refused else most_usd

    def settle(self, most_usd: float, answer: Answer | None) -> None:
        """Book an answer; None: the request was given up, and may have been billed."""
        self.book(most_usd, most_usd if answer is None else self.paid_usd(answer, most_usd))

    def book(self, reserved_usd: float, paid_usd: float) -> None:
        """What was set aside has become what was paid."""
        self.budget.settle(reserved_usd, paid_usd)
        self.spent_usd += paid_usd


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What asking a hosted candidate will cost."""

    candidate: str
    requests: int
    """To be paid for."""
    kept: int
    """Items whose answer is there already."""
    usd: float | None
    """Expected; None without a price."""
    most_usd: float | None
    batch: bool = False

    def times(self, candidate: str, count: int) -> "Estimate":
        """The same, so many times over."""
        return msgspec.structs.replace(
            self,
            candidate=candidate,
            requests=count * self.requests,
            kept=0,
            usd=None if self.usd is None else count * self.usd,
            most_usd=None if self.most_usd is None else count * self.most_usd,
        )

    def line(self) -> str:
        """`estimate gpt: 180 requests (20 kept), about $0.0123, at most $0.0456`."""
        kept = f" ({self.kept} answers are there already)" if self.kept else ""
        asked = f"estimate {self.candidate}: {self.requests} requests{kept}"
        if self.usd is None or self.most_usd is None:
            return f"{asked}, no price is known"
        through = ", through the batch API at a share of the price" if self.batch else ""
        return f"{asked}, about {formats.usd(self.usd)}, at most {formats.usd(self.most_usd)}{through}"


def total_line(estimates: Iterable[Estimate], budget: Budget) -> str:
    """All candidates together, beside the budget."""
    usd = sum(each.usd or 0.0 for each in estimates)
    line = f"estimate for all: about {formats.usd(usd)}"
    if budget.limit_usd is None:
        return f"{line}; no budget (--budget USD sets one)"
    line += f", budget {formats.usd(budget.limit_usd)}"
    if usd > budget.limit_usd:
        line += ": it will stop on the way and keep what it has; --limit N asks fewer items"
    return line


def prompt_chars(body: dict[str, Any]) -> int:
    """Characters of a request that are read as a prompt."""
    texts = sum(len(str(message.get("content") or "")) for message in body["messages"])
    schema = body.get("response_format")
    return texts + (len(msgspec.json.encode(schema)) if schema else 0)
