"""The rules compared with a gold file: the tier that each request should have gone to."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from traffic.errors import InputError
from traffic.policy import TIERS


class SiteErrors(msgspec.Struct, frozen=True):
    """Routing errors of one call site, in requests."""

    requests: int
    sent_low: int
    sent_high: int


class GoldReport(msgspec.Struct, frozen=True, kw_only=True):
    """Routing errors, as shares of all requests that have a true tier."""

    requests: int
    confusion: dict[str, int]
    """Requests by `true->chosen`."""
    true_tier_1_share: float
    sent_low_share: float
    """Hard requests sent to a lower tier: a risk to quality."""
    sent_high_share: float
    """Easy requests sent to a higher tier: wasted spend."""
    by_call_site: dict[str, "SiteErrors"] = {}
    """Where the gold file names call sites; the most errors first."""

    def lines(self) -> list[str]:
        """Confusion matrix and error rates."""
        rows = [
            f"  true {true}: " + "  ".join(f"{self.confusion.get(f'{true}->{chosen}', 0):>8,}" for chosen in TIERS)
            for true in TIERS
        ]
        return [
            f"gold: {self.requests:,} requests, true Tier 1 share {self.true_tier_1_share:.1%}",
            "  sent to:  " + "  ".join(f"{f'tier {tier}':>8}" for tier in TIERS),
            *rows,
            f"  hard sent low {self.sent_low_share:.2%}, easy sent high {self.sent_high_share:.2%} (of all requests)",
        ]


class _GoldRow(msgspec.Struct, frozen=True):
    id: str
    tier_true: int | None = None
    feature: str | None = None


class Truth(NamedTuple):
    """What gold says of one request."""

    tier: int
    call_site: str | None


def read_gold(path: Path) -> Iterator[tuple[str, Truth]]:
    """Ids with their true tier, from JSON lines (plain or .gz). Raises: InputError with the line number."""
    decode = msgspec.json.Decoder(_GoldRow).decode
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and (row := decode(line)).tier_true is not None:
                    if row.tier_true not in TIERS:
                        raise InputError(f"{path}:{number}: tier_true {row.tier_true} is not 1, 2 or 3")
                    yield row.id, Truth(row.tier_true, row.feature)
    except FileNotFoundError:
        raise InputError(f"no gold file {path}") from None
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise InputError(f"{path}:{number}: a gold file has JSON lines with `id` and `tier_true`: {error}") from None


def gold_report(chosen: Mapping[tuple[Truth, int], int]) -> GoldReport:
    """`chosen`: requests by what gold says and the tier that was chosen; 0 for a refusal."""
    cells: Counter[tuple[int, int]] = Counter()
    sites: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (truth, tier), count in chosen.items():
        cells[truth.tier, tier] += count
        if truth.call_site is not None:
            site = sites[truth.call_site]
            site[0] += count
            site[1] += count if 0 < tier < truth.tier else 0
            site[2] += count if tier > truth.tier else 0
    total = sum(cells.values())
    return GoldReport(
        requests=total,
        confusion={f"{true}->{tier or 'refused'}": count for (true, tier), count in sorted(cells.items())},
        true_tier_1_share=sum(count for (true, _), count in cells.items() if true == 1) / total,
        sent_low_share=sum(count for (true, tier), count in cells.items() if 0 < tier < true) / total,
        sent_high_share=sum(count for (true, tier), count in cells.items() if tier > true) / total,
        by_call_site={
            name: SiteErrors(*counts)
            for name, counts in sorted(sites.items(), key=lambda item: (-item[1][1], -item[1][2], item[0]))
        },
    )
