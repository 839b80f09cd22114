"""Replay the rules on logged traffic, so that a change of rules is tried before it ships.

    fasttier replay [--against other-router.yaml] [--gold FILE] [--no-call-sites]

Reads the records store in batches (memory does not grow with the log), asks nobody and changes nothing. Spend is
projected by pricing the logged tokens at the model of each tier's first endpoint, scaled to 30 days.
"""

import datetime as dt
import gzip
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline import store
from traffic import adapters, deployments
from traffic.adapters import Adapter
from traffic.callsites import Registry
from traffic.errors import FastTierError, InputError
from traffic.features import features_of, request_type
from traffic.home import Home
from traffic.policy import TIERS, Policy, Verdict, decide
from traffic.prices import Price, PriceTable
from traffic.prompts import match_any
from traffic.record import Params, Usage, decode_messages
from traffic.tiers import Endpoint, RoutingConfig

MONTH_DAYS = 30
_BATCH_ROWS = 1024
_COLUMNS = (
    "id, call_site, cohort, purpose, epoch(ts) AS at, messages, tools, response_format, params, usage, cost_usd, tier"
)
_OWN = "own machine: paid by the hour, not by the token; `fasttier decide` compares the hours with the tokens"


class TierLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one tier would get."""

    tier: int
    requests: int
    share: float
    logged_month_usd: float | None
    """What these requests cost in the log; None where the log does not say for any."""
    model: str | None
    """Of the tier's first endpoint, at whose price the logged tokens are counted."""
    month_usd: float | None
    """Projected; None where the model has no price, 0 where it is an own machine (marginal cost; see `note`)."""
    note: str | None = None


class SiteLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one call site's requests would do."""

    call_site: str
    requests: int
    tier_1: int
    tier_2: int
    tier_3: int
    refused: int
    adapter: int
    """Of Tier 1: those that the deployed adapter would be asked for."""
    top_rule: str


class GoldReport(msgspec.Struct, frozen=True, kw_only=True):
    """The rules against the tier that each request should have."""

    requests: int
    confusion: dict[str, int]
    """`true->chosen`."""
    true_tier_1_share: float
    sent_low_share: float
    """Of all: hard requests on a lower tier, a risk for quality."""
    sent_high_share: float
    """Of all: easy requests on a higher tier, wasted spend."""


class ReplaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules would do."""

    requests: int
    days: float
    """Between the first and the last request."""
    call_site_entries: bool
    tiers: tuple[TierLine, ...]
    refused: int
    logged_month_usd: float | None
    uncosted: int
    """Attempts whose cost the log does not say."""
    month_usd: float | None
    """Tier 1 on its own endpoint."""
    month_without_adapter_usd: float | None
    """While nothing answers at Tier 1, so that its requests go to Tier 2."""
    untokened: int
    """Attempts without logged tokens: they are in no projection."""
    rules: dict[str, int]
    against: str
    changed: dict[str, int]
    """`before->now`: requests whose tier differs from the log's or the other configuration's."""
    compared: int
    """Requests that have a tier to compare with."""
    call_sites: tuple[SiteLine, ...]
    gold: GoldReport | None
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        entries = "with call-site entries" if self.call_site_entries else "features alone, no call-site entry"
        found = [f"{self.requests:,} requests of {self.days:.1f} days, {entries}"]
        found += [
            f"  tier {t.tier}: {t.requests:>8,} ({t.share:6.1%})  logged {_usd(t.logged_month_usd)} a month, then "
            f"{_usd(t.month_usd)}{f' on {t.model}' if t.model else ''}{' *' if t.note else ''}"
            for t in self.tiers
        ]
        if self.refused:
            found.append(f"  refused: {self.refused:,} ({self.refused / self.requests:.1%})")
        found += [f"  * tier {t.tier}: {t.note}" for t in self.tiers if t.note]
        found.append(
            f"spend a month: {_usd(self.logged_month_usd)} as logged; {_usd(self.month_usd)} projected, "
            f"{_usd(self.month_without_adapter_usd)} while nothing answers at Tier 1"
        )
        found += self.notes
        found.append(self._changes())
        if self.gold is not None:
            found += _gold_lines(self.gold)
        found += [
            f"  {'call site':32} {'requests':>9} {'tier 1':>7} {'tier 2':>7} {'tier 3':>7} {'adapter':>8}  rule",
            *(
                f"  {s.call_site[:32]:32} {s.requests:>9,} {s.tier_1:>7,} {s.tier_2:>7,} {s.tier_3:>7,} "
                f"{s.adapter:>8,}  {s.top_rule}"
                for s in self.call_sites[:20]
            ),
        ]
        if len(self.call_sites) > 20:
            found.append(f"  and {len(self.call_sites) - 20} more call sites (--json has all)")
        return [*found, "next: fasttier route"]

    def _changes(self) -> str:
        moved = sum(self.changed.values())
        if not self.compared:
            return f"{self.against} has no tiers to compare with"
        which = ", ".join(f"{move} {count:,}" for move, count in sorted(self.changed.items(), key=lambda c: -c[1]))
        return f"against {self.against}: {moved:,} of {self.compared:,} change tier{f' ({which})' if moved else ''}"


def run(
    config: RoutingConfig,
    *,
    home: Home,
    registry: Registry,
    prices: PriceTable,
    today: dt.date,
    against: tuple[str, RoutingConfig] | None = None,
    gold: Path | None = None,
    call_sites: bool = True,
) -> ReplaySummary:
    """What `config` would do to the traffic of the home's records store.

    `against`: another configuration, with its name. `gold`: JSON lines (.gz too) with `id` and `tier_true`.
    `call_sites` False: no entry of the registry, and no name of a call site, decides anything.

    Raises: NotFound, ConfigError, InputError.
    """
    truth = dict(read_gold(gold)) if gold is not None else None
    tally = _Tally(config, registry if call_sites else Registry(), prices, today, against, truth, call_sites)
    tally.deployed = _deployed(home, tally.notes) if call_sites else {}
    connection = store.connect(home)
    counted = connection.sql("SELECT count(*) FROM records").fetchall()[0][0]
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=counted)
        # The column list is ours: there is nothing to inject.
        for batch in connection.sql(f"SELECT {_COLUMNS} FROM records").to_arrow_reader(_BATCH_ROWS):  # noqa: S608
            for row in batch.to_pylist():
                tally.add(row)
            bar.advance(task, batch.num_rows)
    return tally.summary()


class _Tally:
    """Counts while the log goes by."""

    def __init__(
        self,
        config: RoutingConfig,
        registry: Registry,
        prices: PriceTable,
        today: dt.date,
        against: tuple[str, RoutingConfig] | None,
        truth: Mapping[str, int] | None,
        named: bool,
    ) -> None:
        self._policy = config.policy
        self._registry = {site.name: site for site in registry.call_sites}
        self._other: Policy | None = against[1].policy if against else None
        self._against = against[0] if against else "the log"
        self._truth = truth
        self._named = named
        self.deployed: dict[str, list[tuple[dict[str, str], Adapter]]] = {}
        self.notes: list[str] = []
        self._firsts = {tier: next(iter(config.endpoints_of(tier)), None) for tier in TIERS}
        self._prices = {tier: _price(end, prices, today, self.notes) for tier, end in self._firsts.items()}
        self._requests: Counter[int] = Counter()
        self._rules: Counter[str] = Counter()
        self._sites: dict[str, Counter[Any]] = {}
        self._changed: Counter[str] = Counter()
        self._confusion: Counter[tuple[int, int]] = Counter()
        self._logged_usd: dict[int, float] = dict.fromkeys((0, *TIERS), 0.0)
        self._logged: Counter[int] = Counter()
        self._usd: dict[int, float] = dict.fromkeys(TIERS, 0.0)
        self._tier_1_at_2_usd = 0.0
        self._compared = self._uncosted = self._untokened = 0
        self._first_s, self._last_s = float("inf"), float("-inf")

    def add(self, row: Mapping[str, Any]) -> None:
        messages = decode_messages(row["messages"])
        tools, form = (msgspec.json.decode(row[name]) if row[name] else None for name in ("tools", "response_format"))
        features = features_of(messages, tools, form, _params(row["params"] or {}))
        name = row["call_site"] if self._named else None
        entry = self._registry.get(name) if name is not None else None
        kind = request_type(features, messages, entry)
        verdict = decide(self._policy, features, kind, entry, call_site=name)
        tier = 0 if verdict.refuse is not None else verdict.tier
        self._spend(row, tier)
        if row["purpose"] != "serve":
            return
        self._first_s, self._last_s = min(self._first_s, row["at"]), max(self._last_s, row["at"])
        self._requests[tier] += 1
        self._rules[verdict.rule] += 1
        site = self._sites.setdefault(row["call_site"] or "(none)", Counter())
        site[tier] += 1
        site[verdict.rule] += 1
        if tier == 1 and self._reaches_adapter(row, bool(tools)):
            site["<adapter>"] += 1
        before = row["tier"]
        if self._other is not None:
            other: Verdict = decide(self._other, features, kind, entry, call_site=name)
            before = 0 if other.refuse is not None else other.tier
        if before is not None:
            self._compared += 1
            if before != tier:
                self._changed[f"{before or 'refused'}->{tier or 'refused'}"] += 1
        true = self._truth.get(row["id"]) if self._truth is not None else None
        if true is not None:
            self._confusion[true, tier] += 1

    def _spend(self, row: Mapping[str, Any], tier: int) -> None:
        """Every attempt costs, retries as well."""
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
        usage = Usage(**row["usage"])
        price, standard = self._prices[tier], self._prices[2]
        if isinstance(price, Price):
            self._usd[tier] += price.cost_usd(usage)
        if tier == 1 and isinstance(standard, Price):
            self._tier_1_at_2_usd += standard.cost_usd(usage)

    def _reaches_adapter(self, row: Mapping[str, Any], tools: bool) -> bool:
        cohort = dict(row["cohort"] or ()).items()
        fitting = [e for e in self.deployed.get(row["call_site"], ()) if e[0].items() <= cohort]
        if not fitting or tools:
            return False
        card = max(fitting, key=lambda entry: len(entry[0]))[1]
        templates = card.call_sites[row["call_site"]].templates
        return match_any(templates, msgspec.json.decode(row["messages"])) is not None

    def summary(self) -> ReplaySummary:
        total = sum(self._requests.values())
        if not total:
            raise InputError("the records store has no served request to replay")
        days = (self._last_s - self._first_s) / 86400
        # A log of an hour says nothing about a month.
        scale = MONTH_DAYS / days if days >= 1 else None
        tiers = tuple(self._tier(tier, total, scale) for tier in TIERS)
        if scale is None:
            self.notes.append("the log spans less than a day: no spend a month is projected from it")
        if self._untokened:
            self.notes.append(f"{self._untokened:,} attempts have no logged tokens and are in no projection")
        if self._uncosted:
            self.notes.append(f"{self._uncosted:,} attempts have no logged cost and are not in the spend as logged")
        without = None
        if scale is not None and all(isinstance(self._prices[tier], Price) for tier in (2, 3)):
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
            rules=dict(self._rules.most_common()),
            against=self._against,
            changed=dict(self._changed.most_common()),
            compared=self._compared,
            call_sites=tuple(self._site(name, found) for name, found in self._by_size()),
            gold=gold_report(self._confusion) if self._confusion else None,
            notes=tuple(self.notes),
        )

    def _tier(self, tier: int, total: int, scale: float | None) -> TierLine:
        endpoint, price = self._firsts[tier], self._prices[tier]
        own = endpoint is None or endpoint.own
        month = None
        if scale is not None and (isinstance(price, Price) or own):
            month = scale * self._usd[tier]
        return TierLine(
            tier=tier,
            requests=self._requests[tier],
            share=self._requests[tier] / total,
            logged_month_usd=scale * self._logged_usd[tier] if scale is not None and self._logged[tier] else None,
            model=endpoint.model if endpoint is not None else None,
            month_usd=month,
            note=_OWN if own and not isinstance(price, Price) else None,
        )

    def _by_size(self) -> list[tuple[str, Counter[Any]]]:
        return sorted(self._sites.items(), key=lambda item: (-sum(item[1][t] for t in (0, *TIERS)), item[0]))

    def _site(self, name: str, found: Counter[Any]) -> SiteLine:
        rules = {rule: count for rule, count in found.items() if rule in self._rules}
        return SiteLine(
            call_site=name,
            requests=sum(found[tier] for tier in (0, *TIERS)),
            tier_1=found[1],
            tier_2=found[2],
            tier_3=found[3],
            refused=found[0],
            adapter=found["<adapter>"],
            top_rule=max(rules, key=lambda rule: rules[rule]),
        )


class _Gold(msgspec.Struct, frozen=True):
    id: str
    tier_true: int | None = None


def read_gold(path: Path) -> Iterator[tuple[str, int]]:
    """Ids with their true tier, from JSON lines. Raises: InputError with the line that cannot be read."""
    decode = msgspec.json.Decoder(_Gold).decode
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and (row := decode(line)).tier_true is not None:
                    if row.tier_true not in TIERS:
                        raise InputError(f"{path}:{number}: tier_true {row.tier_true} is not 1, 2 or 3")
                    yield row.id, row.tier_true
    except FileNotFoundError:
        raise InputError(f"no gold file {path}") from None
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise InputError(f"{path}:{number}: a gold file has JSON lines with `id` and `tier_true`: {error}") from None


def gold_report(cells: Mapping[tuple[int, int], int]) -> GoldReport:
    """Counts by (true tier, chosen tier; 0 for a refusal) as shares of all requests that have a true tier."""
    total = sum(cells.values())
    return GoldReport(
        requests=total,
        confusion={f"{true}->{chosen or 'refused'}": count for (true, chosen), count in sorted(cells.items())},
        true_tier_1_share=sum(count for (true, _), count in cells.items() if true == 1) / total,
        sent_low_share=sum(count for (true, chosen), count in cells.items() if 0 < chosen < true) / total,
        sent_high_share=sum(count for (true, chosen), count in cells.items() if chosen > true) / total,
    )


def _gold_lines(gold: GoldReport) -> list[str]:
    rows = [
        f"  true {true}: " + "  ".join(f"{gold.confusion.get(f'{true}->{chosen}', 0):>8,}" for chosen in TIERS)
        for true in TIERS
    ]
    return [
        f"against gold ({gold.requests:,} requests, {gold.true_tier_1_share:.1%} of them truly Tier 1):",
        "  sent to:  " + "  ".join(f"{f'tier {tier}':>8}" for tier in TIERS),
        *rows,
        (
            f"  hard sent low {gold.sent_low_share:.2%} of all (quality at risk), easy sent high "
            f"{gold.sent_high_share:.2%} (wasted spend)"
        ),
    ]


def _params(given: Mapping[str, Any]) -> Params:
    other = msgspec.json.decode(given["other"]) if given.get("other") else {}
    return Params(given.get("max_tokens"), given.get("temperature"), bool(given.get("stream")), other)


def _price(endpoint: Endpoint | None, prices: PriceTable, today: dt.date, notes: list[str]) -> Price | None:
    """Price per token of an endpoint's model today; None for an own machine, and with a note where it is not known."""
    if endpoint is None or (endpoint.own and endpoint.price_model is None) or endpoint.price_name is None:
        return None
    try:
        return prices.price(endpoint.price_name, endpoint.provider_name, today)
    except LookupError as error:
        notes.append(f"endpoint {endpoint.name}: {error}")
        return None


def _deployed(home: Home, notes: list[str]) -> dict[str, list[tuple[dict[str, str], Adapter]]]:
    """Cohort and adapter of every deployment, by call site."""
    found: dict[str, list[tuple[dict[str, str], Adapter]]] = {}
    for entry in deployments.load_or_empty(home.deployments).entries:
        try:
            card = adapters.load(home.adapters / entry.adapter)
        except FastTierError as error:
            notes.append(f"deployment of {entry.call_site} is left out: {error}")
            continue
        if entry.call_site in card.call_sites:
            found.setdefault(entry.call_site, []).append((entry.cohort or {}, card))
    return found


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f} USD"
