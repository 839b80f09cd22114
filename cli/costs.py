"""`fasttier costs`: cost of AI per feature, and per paying customer with a customers file."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from cli.app import DEFAULTS, Common, Period, Summary, run_stage

if TYPE_CHECKING:
    from pipeline.costs import Books, CostsConfig, PeriodRequest
    from pipeline.store import Overlay
    from traffic.artifacts import Home
    from traffic.prices import Machines, PriceTable


@Parameter(name="*")
@dataclass(frozen=True)
class MonthOrDays(Period):
    """Options of all reports of costs."""

    month: Annotated[str | None, Parameter(help="2026-11 (default: the last month with records).")] = None

    def asked(self, *, everything: bool = False) -> "PeriodRequest":
        """Raises: InputError."""
        from pipeline.costs import PeriodRequest
        from traffic.errors import InputError

        if self.month is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", self.month):
            raise InputError(f"--month {self.month}: write it as 2026-11")
        if self.month is not None and (self.since or self.until):
            raise InputError("--month excludes --since and --until")
        return PeriodRequest(self.month, self.days(), everything)


LAST_MONTH = MonthOrDays()
CustomersFile = Annotated[
    Path | None,
    Parameter(
        name="--customers",
        help="Paying customers (CSV): customer_id, plan, paying_from, paying_until (default: customers.csv of --home).",
    ),
]

costs = App(name="costs", help="Report the cost of each feature, in total and per paying customer.")


@costs.default
def report(
    *,
    by: Annotated[
        str,
        Parameter(help="Any of feature, call_site, plan, model, provider, tier, type, customer, purpose, day, month."),
    ] = "feature",
    per: Annotated[
        Literal["customer", "request"] | None,
        Parameter(help="Also divide by the number of paying customers or requests."),
    ] = None,
    period: MonthOrDays = LAST_MONTH,
    customers: CustomersFile = None,
    csv: Annotated[Path | None, Parameter(help="Also write all rows to this file.")] = None,
    invoice: Annotated[
        Path | None,
        Parameter(help="Compare with an invoice: OpenAI's costs, Anthropic's cost report, or a CSV."),
    ] = None,
    live: Annotated[
        bool,
        Parameter(negative="", help="Include the router's log since the last ingest, like the dashboard."),
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Print the cost of the logged traffic by group; unpriced attempts are listed, never counted as 0."""

    def stage(home: "Home") -> Summary:
        from pipeline import costs as stage
        from pipeline.ingest.live import LiveLog

        if invoice is not None:
            settings, prices, machines = sources(common)
            return stage.against_invoice(invoice, settings, home=home, prices=prices, machines=machines)
        dimensions = [name.strip() for name in by.split(",") if name.strip()]
        log = LiveLog(home)
        try:
            overlay = log.look_through() if live else None
            books = open_books(home, common, period.asked(), customers=customers, overlay=overlay)
            return stage.run(books, by=dimensions, per=per, csv=csv)
        finally:
            log.close()

    return run_stage(common, stage)


@costs.command(name="plan", help="Estimate the cost of a new feature from a similar one.")
def plan(
    *,
    feature: Annotated[str, Parameter(help="Name of the new feature.")],
    like: Annotated[str, Parameter(help="A logged feature or call site with similar requests.")],
    users: Annotated[int, Parameter(help="Users per month.")],
    requests_per_user: Annotated[float, Parameter(help="Requests per user and month.")],
    spread: Annotated[float, Parameter(help="Relative uncertainty of usage: 0.5 means 50% to 150%.")] = 0.5,
    model: Annotated[str | None, Parameter(help="Use this model's list price instead of the logged cost.")] = None,
    period: MonthOrDays = LAST_MONTH,
    common: Common = DEFAULTS,
) -> int:
    """Print the monthly cost of a new feature with its range and assumptions."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        from pipeline.costs import forecast
        from traffic.prices import PriceTable

        new = forecast.NewFeature(
            name=feature, like=like, users=users, requests_per_user=requests_per_user, spread=spread, model=model
        )
        books = open_books(home, common, period.asked())
        return forecast.run(books, new, prices=PriceTable.load(), today=dt.datetime.now(dt.UTC).date())

    return run_stage(common, stage)


@costs.command(name="savings", help="Report monthly savings by routing, caching, shaping and own models.")
def savings(
    *,
    baseline: Annotated[
        str | None, Parameter(help="Model to compare with (default: baseline_model, or the first of Tier 3).")
    ] = None,
    period: MonthOrDays = LAST_MONTH,
    common: Common = DEFAULTS,
) -> int:
    """Print the savings ledger: cost with a single baseline model, actual cost, and the difference by cause."""

    def stage(home: "Home") -> Summary:
        from pipeline.costs import savings as stage
        from traffic.errors import ConfigError

        settings, prices, _ = sources(common)
        model, provider = baseline_of(settings, baseline)
        if model is None:
            raise ConfigError("costs savings: no baseline model; name one with --baseline")
        books = open_books(home, common, period.asked(everything=True))
        return stage.run(books, baseline=model, provider=provider, prices=prices)

    return run_stage(common, stage)


def baseline_of(settings: "CostsConfig", named: str | None) -> tuple[str | None, str | None]:
    """Baseline model and provider of the savings: as named, as configured, or the first of Tier 3."""
    from traffic import config, tiers

    if named or settings.baseline_model:
        return named or settings.baseline_model, None
    heavy = next(iter(tiers.load(config.CONFIGS / "router.yaml").endpoints_of(3)), None)
    return (heavy.price_name, heavy.provider_name) if heavy else (None, None)


def sources(common: Common) -> "tuple[CostsConfig, PriceTable, Machines]":
    """Settings and prices. Raises: ConfigError, NotFound."""
    from pipeline.costs import CostsConfig
    from traffic import config
    from traffic.prices import PriceTable, load_machines

    settings = config.load(common.config or config.CONFIGS / "costs.yaml", CostsConfig, common.set_)
    return settings, PriceTable.load(), load_machines()


def open_books(
    home: "Home", common: Common, asked: "PeriodRequest | None" = None, *, customers: Path | None = None,
    overlay: "Overlay | None" = None,
) -> "Books":  # fmt: skip
    """The books of a period, with the shipped prices. Raises: InputError and what `pipeline.costs` raises."""
    from pipeline import costs as stage

    settings, prices, machines = sources(common)
    return stage.open_books(
        settings, home=home, prices=prices, machines=machines, customers_file=customers,
        asked=asked or stage.PeriodRequest(), overlay=overlay,
    )  # fmt: skip
