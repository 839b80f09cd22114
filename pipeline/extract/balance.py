"""Limits the train rows per call site (caps, temperature) and the share of escalated requests. No row is repeated.

- Where one call site has a hundred times the traffic of another, a model trained on the log as it is learns the first
  and forgets the second.
- A request escalates because a small model was unsure of it, so these rows are the hard ones. A train split of little
  else has the wrong shares of everything.
"""

import hashlib
import statistics
from collections.abc import Mapping, Sequence

from pipeline.extract.config import EscalatedConfig, ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from pipeline.extract.splits import capped
from traffic.errors import NotEnoughData


def thin(train: Sequence[Row], config: ExtractConfig, ledger: Ledger) -> list[Row]:
    """The train rows to keep, in time order; removed rows are counted."""
    by_site: dict[str, list[Row]] = {}
    for row in train:
        by_site.setdefault(row.call_site, []).append(row)
    sizes = {name: len(rows) for name, rows in sorted(by_site.items())}
    balanced = quotas(sizes, config)
    final = within(balanced, sizes, config)
    if len(sizes) > 1 or config.balance.max_rows_per_call_site is not None:
        reason = f"rows of the larger call sites (temperature {config.balance.temperature:g})"
        ledger.add("balance", len(train) - sum(balanced.values()), reason)
    if config.max_train_rows is not None:
        reason = f"max_train_rows: {config.max_train_rows} ({config.cap})"
        ledger.add("train_cap", sum(balanced.values()) - sum(final.values()), reason)
    selected = [row for name, rows in by_site.items() for row in capped(rows, final[name], config)]
    return sorted(selected, key=lambda row: (row.ts, row.id))


def quotas(sizes: Mapping[str, int], config: ExtractConfig) -> dict[str, int]:
    """Rows per call site by cap and temperature; for a single call site only the cap applies."""
    cap = config.balance.max_rows_per_call_site
    limited = {name: size if cap is None else min(size, cap) for name, size in sizes.items()}
    if len(sizes) < 2:
        return limited
    power = 1 / config.balance.temperature
    scale = statistics.median(limited.values()) ** (1 - power)
    return {name: min(size, max(1, round(scale * size**power))) for name, size in limited.items()}


def within(quota: Mapping[str, int], sizes: Mapping[str, int], config: ExtractConfig) -> dict[str, int]:
    """Reduces the quotas to a total of `max_train_rows`, in proportion to the temperature; none exceeds its quota."""
    limit = config.max_train_rows
    if limit is None or sum(quota.values()) <= limit:
        return dict(quota)
    weights = {name: sizes[name] ** (1 / config.balance.temperature) for name in quota}
    complete: dict[str, int] = {}
    while True:
        remaining = limit - sum(complete.values())
        total = sum(weight for name, weight in weights.items() if name not in complete)
        shares = {name: remaining * weight / total for name, weight in weights.items() if name not in complete}
        small = {name: quota[name] for name, share in shares.items() if quota[name] <= share}
        if not small:
            break
        complete |= small
    fitted = {name: int(share) for name, share in shares.items()}
    # Largest remainders first; ties by name.
    order = sorted(shares, key=lambda name: (fitted[name] - shares[name], name))
    for name in order[: remaining - sum(fitted.values())]:
        fitted[name] += 1
    return complete | fitted


def cap_escalated(train: Sequence[Row], config: EscalatedConfig, ledger: Ledger) -> list[Row]:
    """The rows to keep, with at most `max_share` escalated ones; which of them are kept depends on their ids.

    Raises: NotEnoughData if all rows are escalated.
    """
    escalated = [row for row in train if row.label_source == "escalated"]
    others = len(train) - len(escalated)
    if not escalated or config.max_share == 1:
        return list(train)
    limit = int(config.max_share / (1 - config.max_share) * others)
    if not limit:
        raise NotEnoughData(
            f"all {len(train)} rows of the train split are escalated requests, the hard ones; ingest other "
            "answered requests of the call site too, or train on these alone with --set escalated.max_share=1"
        )
    drawn = sorted(escalated, key=lambda row: hashlib.blake2b(row.id.encode(), digest_size=8).digest())[:limit]
    keep = {row.id for row in drawn}
    reason = f"more than {config.max_share:.0%} of the train split: escalated requests are the hard ones"
    return ledger.split(train, lambda row: row.label_source != "escalated" or row.id in keep, "escalated_cap", reason)
