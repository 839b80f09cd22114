"""How many train rows each call site gives to a task of several: caps, and temperature.

Where one call site has a hundred times the traffic of another, a model trained on the log as it is
learns the first and forgets the second. No row is ever repeated.
"""

import statistics
from collections.abc import Mapping, Sequence

from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from pipeline.extract.splits import capped


def thin(train: Sequence[Row], config: ExtractConfig, ledger: Ledger) -> list[Row]:
    """The train rows that stay, in the order of time; what goes is counted."""
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
    kept = [row for name, rows in by_site.items() for row in capped(rows, final[name], config)]
    return sorted(kept, key=lambda row: (row.ts, row.id))


def quotas(sizes: Mapping[str, int], config: ExtractConfig) -> dict[str, int]:
    """Rows of each call site by cap and temperature; one call site alone has only the cap."""
    cap = config.balance.max_rows_per_call_site
    limited = {name: size if cap is None else min(size, cap) for name, size in sizes.items()}
    if len(sizes) < 2:
        return limited
    power = 1 / config.balance.temperature
    scale = statistics.median(limited.values()) ** (1 - power)
    return {name: min(size, max(1, round(scale * size**power))) for name, size in limited.items()}


def within(quota: Mapping[str, int], sizes: Mapping[str, int], config: ExtractConfig) -> dict[str, int]:
    """The quotas cut down to `max_train_rows`, which is used up: still by temperature, and no one above its quota."""
    limit = config.max_train_rows
    if limit is None or sum(quota.values()) <= limit:
        return dict(quota)
    weights = {name: sizes[name] ** (1 / config.balance.temperature) for name in quota}
    whole: dict[str, int] = {}
    while True:
        left = limit - sum(whole.values())
        total = sum(weight for name, weight in weights.items() if name not in whole)
        shares = {name: left * weight / total for name, weight in weights.items() if name not in whole}
        small = {name: quota[name] for name, share in shares.items() if quota[name] <= share}
        if not small:
            break
        whole |= small
    fitted = {name: int(share) for name, share in shares.items()}
    # Largest remainders first; ties by name.
    order = sorted(shares, key=lambda name: (fitted[name] - shares[name], name))
    for name in order[: left - sum(fitted.values())]:
        fitted[name] += 1
    return whole | fitted
