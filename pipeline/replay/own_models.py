"""Which logged requests the deployed adapters would answer, by the rules that the router applies."""

from collections.abc import Mapping
from typing import Any

import msgspec

from traffic import deployments, own_models
from traffic.artifacts import Home
from traffic.deployments import Deployments
from traffic.errors import FastTierError
from traffic.own_models import Card
from traffic.prompts import match_any


class OwnModels(msgspec.Struct, frozen=True):
    """The deployment table of a home with the adapters that could be read."""

    table: Deployments = Deployments()
    cards: dict[str, Card] = {}
    problems: tuple[str, ...] = ()

    def answer(self, row: Mapping[str, Any], *, tools: bool, choices: int) -> bool:
        """Whether an adapter is the first to be asked about a Tier 1 request (a row of the records store).

        Shadows answer nobody; a canary answers its share, a deployment with `only` its cohorts.
        """
        entry = self.table.lookup(row["call_site"], dict(row["cohort"] or ()))
        if entry is None or tools or choices > 1 or entry.adapter not in self.cards:
            return False
        if not entry.in_share(row["session_id"] or row["user_id"] or row["request_id"]):
            return False
        prompts = self.cards[entry.adapter].call_sites.get(entry.call_site)
        return prompts is not None and match_any(prompts.templates, msgspec.json.decode(row["messages"])) is not None


def load(home: Home) -> OwnModels:
    """What is deployed now; adapters that cannot be read are in `problems`."""
    table = deployments.load_or_empty(home.deployments)
    cards: dict[str, Card] = {}
    problems: dict[str, str] = {}
    for name in dict.fromkeys(entry.adapter for entry in table.entries):
        try:
            cards[name] = own_models.load(own_models.named(home, name))
        except FastTierError as error:
            problems[name] = f"deployed adapter {name} is left out: {error}"
    return OwnModels(table, cards, tuple(problems.values()))
