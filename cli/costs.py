"""`fasttier costs`: what the AI in each feature costs, per paying customer where you say who pays."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from pipeline.costs import Books, CostsConfig
    from traffic.artifacts import Home
    from traffic.prices import Machines, PriceTable

Month = Annotated[str | None, Parameter(help="2026-11 (default: the last month that has records).")]
Since = Annotated[datetime | None, Parameter(help="First day, UTC: 2026-11-01.")]
Until = Annotated[datetime | None, Parameter(help="First day that is left out, UTC.")]
CustomersFile = Annotated[
    Path | None,
    Parameter(
        name="--customers",
        help="CSV of who pays: customer_id, plan, paying_from, paying_until (default: customers.csv of --home).",
    ),
]


def costs(
    *,
    by: Annotated[
        str,
        Parameter(help="Any of feature, call_site, plan, model, provider, tier, type, customer, purpose, day, month."),
    ] = "feature",
    per: Annotated[Literal["customer", "request"] | None, Parameter(help="Also divided: by paying customers.")] = None,
    month: Month = None,
    since: Since = None,
    until: Until = None,
    customers: CustomersFile = None,
    csv: Annotated[Path | None, Parameter(help="Also write every row to this file.")] = None,
    invoice: Annotated[
        Path | None,
        Parameter(help="Compare with what was billed: OpenAI's costs, Anthropic's cost report, or a CSV."),
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Print what the logged traffic cost, grouped; unpriced attempts are listed, never counted as 0."""

    def stage(home: "Home") -> Summary:
        from pipeline import costs as stage

        if invoice is not None:
            settings, prices, machines = sources(common)
            return stage.against_invoice(invoice, settings, home=home, prices=prices, machines=machines)
        dimensions = [name.strip() for name in by.split(",") if name.strip()]
        books = open_books(home, common, customers, month, since, until)
        return stage.run(books, by=dimensions, per=per, csv=csv)

    return run_stage(common, stage)


def sources(common: Common) -> "tuple[CostsConfig, PriceTable, Machines]":
    """Settings and prices. Raises: ConfigError, NotFound."""
    from pipeline.costs import CostsConfig
    from traffic import config
    from traffic.prices import PriceTable, load_machines

    settings = config.load(common.config or config.CONFIGS / "costs.yaml", CostsConfig, common.set_)
    return settings, PriceTable.load(), load_machines()


def open_books(
    home: "Home", common: Common, customers: Path | None = None, month: str | None = None,
    since: datetime | None = None, until: datetime | None = None,
) -> "Books":  # fmt: skip
    """The books of a period, with the shipped prices. Raises: InputError and what `pipeline.costs` raises."""
    import re

    from pipeline import costs as stage
    from traffic.errors import InputError

    if month is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise InputError(f"--month {month}: write it as 2026-11")
    settings, prices, machines = sources(common)
    return stage.open_books(
        settings, home=home, prices=prices, machines=machines, customers_file=customers, month=month,
        since=since.date() if since else None, until=until.date() if until else None,
    )  # fmt: skip
