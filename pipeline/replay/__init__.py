"""Replay the routing rules on logged traffic, to try a change of rules before it ships.

    fasttier replay [--against other-router.yaml] [--gold FILE] [--no-call-sites]

Reads the records store in batches of constant size; sends no request and changes nothing. Spend is projected by
pricing the logged tokens at the model of each tier's first endpoint, scaled to 30 days.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline import store
from pipeline.replay import own_models
from pipeline.replay.gold import Truth, gold_report, read_gold
from pipeline.replay.own_models import OwnModels
from pipeline.replay.summary import ReplaySummary, SiteLine, TierLine
from pipeline.store.period import ALL_DAYS, Days
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.errors import InputError
from traffic.features import features_of, request_type
from traffic.policy import TIERS, decide
from traffic.prices import Price, PriceTable
from traffic.record import Params, decode_messages, usage_of_row
from traffic.shapes import ShapeIndex
from traffic.tiers import Endpoint, RoutingConfig

__all__ = ["ReplaySummary", "Rules", "run"]

MONTH_DAYS = 30
_BATCH_ROWS = 1024
_COLUMNS = (
    "id, request_id, call_site, cohort, session_id, user_id, purpose, epoch(ts) AS at, messages, tools,"
    " response_format, params, usage, cost_usd, tier"
)
_OWN_MACHINE = "own machine: paid by the hour, not by the token; `fasttier decide` compares both"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What decides where a logged request goes."""

    config: RoutingConfig
    registry: Registry | None
    """None: neither registry entries nor names of call sites count, and no own model answers."""
    against: tuple[str, RoutingConfig] | None = None
    """Name and content of a configuration to compare with, instead of the logged tiers."""


def run(
    rules: Rules,
    *,
    home: Home,
    prices: PriceTable,
    today: dt.date,
    gold: Path | None = None,
    days: Days = ALL_DAYS,
) -> ReplaySummary:
    """What `rules` would do to the traffic of the home's records store.

    `gold`: JSON lines (.gz too) with `id` and `tier_true`.

    Raises: NotFound, ConfigError, InputError.
    """
    models = own_models.load(home) if rules.registry is not None else OwnModels()
    tally = _Tally(rules, models, prices, today, dict(read_gold(gold)) if gold is not None else {})
    connection = store.connect(home)
    days.limit(connection)
    total = connection.sql("SELECT count(*) FROM records").fetchall()[0][0]
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        # The column list is a constant: nothing can be injected.
        for batch in connection.sql(f"SELECT {_COLUMNS} FROM records").to_arrow_reader(_BATCH_ROWS):  # noqa: S608
            for row in batch.to_pylist():
                tally.add(row)
            bar.advance(task, batch.num_rows)
    return tally.summary()


class _Tally:
    """Counts over the log: requests by tier, rule and call site, and spend over all attempts."""

    def __init__(
        self, rules: Rules, own: OwnModels, prices: PriceTable, today: dt.date, true_tiers: Mapping[str, Truth]
    ) -> None:
        self._rules = rules
        self._named = rules.registry is not None
        self._own = own
        self._shapes = ShapeIndex(rules.registry or Registry())
        self._true_tiers = true_tiers
        self.notes: list[str] = list(own.problems)
        self._first_endpoints = {tier: next(iter(rules.config.endpoints_of(tier)), None) for tier in TIERS}
        self._prices = {tier: _price(e, prices, today, self.notes) for tier, e in self._first_endpoints.items()}
        self._requests: Counter[int] = Counter()
        self._matched: Counter[str] = Counter()
        self._sites: dict[str, Counter[Any]] = {}
        self._changed: Counter[str] = Counter()
        self._confusion: Counter[tuple[Truth, int]] = Counter()
        self._logged_usd: dict[int, float] = dict.fromkeys((0, *TIERS), 0.0)
        self._logged: Counter[int] = Counter()
        self._usd: dict[int, float] = dict.fromkeys(TIERS, 0.0)
        self._tier_1_at_2_usd = 0.0
        self._compared = self._uncosted = self._untokened = 0
        self._first_s, self._last_s = float("inf"), float("-inf")

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one attempt; only `serve` attempts are requests."""
        messages = decode_messages(row["messages"])
        tools, form = (msgspec.json.decode(row[name]) if row[name] else None for name in ("tools", "response_format"))
        params = _params(row["params"] or {})
        features = features_of(messages, tools, form, params)
        name = row["call_site"] if self._named else None
        entry = self._shapes.entry(name, messages)
        kind = request_type(features, messages, entry)
        verdict = decide(self._rules.config.policy, features, kind, entry, call_site=name)
        tier = 0 if verdict.refuse is not None else verdict.tier
        self._spend(row, tier)
        if row["purpose"] != "serve":
            return
        self._first_s, self._last_s = min(self._first_s, row["at"]), max(self._last_s, row["at"])
        self._requests[tier] += 1
        self._matched[verdict.rule] += 1
        site = self._sites.setdefault(row["call_site"] or "(none)", Counter())
        site[tier] += 1
        site[verdict.rule] += 1
        if tier == 1 and self._own.answer(row, tools=bool(tools), choices=params.other.get("n") or 1):
            site["<adapter>"] += 1
        previous = row["tier"]
        if self._rules.against is not None:
            other = decide(self._rules.against[1].policy, features, kind, entry, call_site=name)
            previous = 0 if other.refuse is not None else other.tier
        if previous is not None:
            self._compared += 1
            if previous != tier:
                self._changed[f"{previous or 'refused'}->{tier or 'refused'}"] += 1
        true = self._true_tiers.get(row["id"])
        if true is not None:
            self._confusion[true, tier] += 1

    def _spend(self, row: Mapping[str, Any], tier: int) -> None:
        """Every attempt costs, retries included."""
        if row["cost_usd"] is None:
            self._uncosted += 1
        else:
            self._logged_usd[tier] += row["cost_usd"]
            self._logged[tier] += 1
        if not tier:
            return
        if row["usage"] is None:
            self._untokened += 1
            return
        usage = usage_of_row(row["usage"])
        price, standard = self._prices[tier], self._prices[2]
        if price is not None:
            self._usd[tier] += price.cost_usd(usage)
        if tier == 1 and standard is not None:
            self._tier_1_at_2_usd += standard.cost_usd(usage)

    def summary(self) -> ReplaySummary:
        """Raises: InputError if the log has no served request."""
        total = sum(self._requests.values())
        if not total:
            raise InputError("the records store has no served request to replay")
        days = (self._last_s - self._first_s) / 86400
        # Less than a day of log cannot be scaled to a month.
        scale = MONTH_DAYS / days if days >= 1 else None
        tiers = tuple(self._tier(tier, total, scale) for tier in TIERS)
        if scale is None:
            self.notes.append("no monthly projection: the log spans less than a day")
        if self._untokened:
            self.notes.append(f"attempts without logged tokens (not projected): {self._untokened:,}")
        if self._uncosted:
            self.notes.append(f"attempts without a logged cost (not in logged spend): {self._uncosted:,}")
        without = None
        if scale is not None and all(self._prices[tier] is not None for tier in (2, 3)):
            without = scale * (self._tier_1_at_2_usd + self._usd[2] + self._usd[3])
        projected = [line.month_usd for line in tiers]
        logged = sum(self._logged_usd.values()) if self._logged else None
        return ReplaySummary(
            requests=total,
            days=days,
            call_site_entries=self._named,
            tiers=tiers,
            refused=self._requests[0],
            logged_month_usd=None if logged is None or scale is None else scale * logged,
            uncosted=self._uncosted,
            month_usd=None if None in projected else sum(usd for usd in projected if usd is not None),
            month_without_adapter_usd=without,
            untokened=self._untokened,
            rules=dict(self._matched.most_common()),
            against=self._rules.against[0] if self._rules.against else "the log",
            changed=dict(self._changed.most_common()),
            compared=self._compared,
            call_sites=tuple(self._site(name, counts) for name, counts in self._by_size()),
            gold=gold_report(self._confusion) if self._confusion else None,
            notes=tuple(self.notes),
        )

    def _tier(self, tier: int, total: int, scale: float | None) -> TierLine:
        endpoint, price = self._first_endpoints[tier], self._prices[tier]
        is_own = endpoint is None or endpoint.own
        return TierLine(
            tier=tier,
            requests=self._requests[tier],
            share=self._requests[tier] / total,
            logged_month_usd=scale * self._logged_usd[tier] if scale is not None and self._logged[tier] else None,
            model=endpoint.model if endpoint is not None else None,
            month_usd=scale * self._usd[tier] if scale is not None and (price is not None or is_own) else None,
            note=_OWN_MACHINE if is_own and price is None else None,
        )

    def _by_size(self) -> list[tuple[str, Counter[Any]]]:
        return sorted(self._sites.items(), key=lambda item: (-sum(item[1][t] for t in (0, *TIERS)), item[0]))

    def _site(self, name: str, counts: Counter[Any]) -> SiteLine:
        rules = {rule: count for rule, count in counts.items() if rule in self._matched}
        return SiteLine(
            call_site=name,
            requests=sum(counts[tier] for tier in (0, *TIERS)),
            tier_1=counts[1],
            tier_2=counts[2],
            tier_3=counts[3],
            refused=counts[0],
            adapter=counts["<adapter>"],
            top_rule=max(rules, key=lambda rule: rules[rule]),
        )


def _params(stored: Mapping[str, Any]) -> Params:
    other = msgspec.json.decode(stored["other"]) if stored.get("other") else {}
    return Params(stored.get("max_tokens"), stored.get("temperature"), bool(stored.get("stream")), other)


def _price(endpoint: Endpoint | None, prices: PriceTable, today: dt.date, notes: list[str]) -> Price | None:
    """Price per token of an endpoint's model today; None for an own machine, and with a note for an unknown model."""
    if endpoint is None or (endpoint.own and endpoint.price_model is None) or endpoint.price_name is None:
        return None
    try:
        return prices.price(endpoint.price_name, endpoint.provider_name, today)
    except LookupError as error:
        notes.append(f"endpoint {endpoint.name}: {error}")
        return None
