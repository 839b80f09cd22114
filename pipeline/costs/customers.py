"""Paying customers: `customers.csv` with customer_id, plan, paying_from and paying_until (first unpaid day, or empty).

One line per customer and plan: a customer that changed its plan has two.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.spreadsheets import Days, table_of, text_of
from traffic.errors import InputError

FILE = "customers.csv"
_OPEN = frozenset({"", "-", "null", "none", "nan", "n/a", "open", "now", "active"})
"""Values of paying_until for a subscription that has not ended."""
_COLUMNS = ("customer_id", "plan", "paying_from", "paying_until")


class Subscription(msgspec.Struct, frozen=True):
    """One customer's payments for one plan, from one day up to, not including, another."""

    customer_id: str
    plan: str
    start: dt.date
    end: dt.date

    def pays(self, since: dt.date, until: dt.date) -> bool:
        """Whether any day in [since, until) is paid."""
        return self.start < until and since < self.end


class Customers(msgspec.Struct, frozen=True):
    """The subscriptions of a file."""

    subscriptions: tuple[Subscription, ...]
    notes: tuple[str, ...] = ()
    """Unreadable lines."""

    def paying(self, since: dt.date, until: dt.date) -> dict[str, int]:
        """Number of paying customers in this time, by plan; the key `""` counts each customer once."""
        listed = [s for s in self.subscriptions if s.pays(since, until)]
        by_plan = {plan: len({s.customer_id for s in listed if s.plan == plan}) for plan in {s.plan for s in listed}}
        return by_plan | {"": len({s.customer_id for s in listed})}


def load(path: Path) -> Customers:
    """Load a file; unreadable lines are left out and listed. Raises: NotFound, InputError without the columns."""
    missing_file = f"no file {path} of customers: a CSV with {', '.join(_COLUMNS)}"
    table = table_of(path, text_of(path, missing_file))
    names = {name.strip().lower().replace(" ", "_"): name for name in table.names}
    if missing := [name for name in _COLUMNS[:1] + _COLUMNS[2:3] if name not in names]:
        raise InputError(f"{path}: no column {', '.join(missing)}; a file of customers has {', '.join(_COLUMNS)}")
    listed = [
        (line, [(row.get(names.get(column, column)) or "").strip() for column in _COLUMNS]) for line, row in table.rows
    ]
    days = Days(text for _, values in listed for text in values[2:])
    subscriptions: list[Subscription] = []
    rejected: list[str] = []
    for line, values in listed:
        try:
            subscriptions.append(_subscription(values, days))
        except ValueError as error:
            rejected.append(f"line {line}: {error}")
    if listed and not subscriptions:
        raise InputError(f"{path}: no readable line ({'; '.join(rejected[:3])})")
    notes = (f"{path}: {len(rejected)} lines left out ({'; '.join(rejected[:3])})",) if rejected else ()
    return Customers(tuple(subscriptions), notes)


def _subscription(values: Sequence[str], days: Days) -> Subscription:
    customer, plan, since, until = values
    if not customer:
        raise ValueError("no customer_id")
    end = days.read(until) if until.casefold() not in _OPEN else dt.date.max
    start = days.read(since)
    if end < start:
        raise ValueError("paying_until is before paying_from")
    return Subscription(customer, plan or "(none)", start, end)
