"""How many of the train rows may be escalated ones.

A request escalates because a small model was unsure of it, so these rows are the hard ones. They teach
what is missing, but a set of little else has the wrong shares of everything.
"""

import hashlib
from collections.abc import Sequence

from pipeline.extract.config import EscalatedConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.errors import NotEnoughData


def capped(train: Sequence[Row], config: EscalatedConfig, ledger: Ledger) -> list[Row]:
    """The rows, with no more escalated ones than `max_share` of what stays; which of them is drawn by their ids.

    Raises: NotEnoughData if there is nothing to mix them with.
    """
    escalated = [row for row in train if row.label_source == "escalated"]
    others = len(train) - len(escalated)
    if not escalated or config.max_share == 1:
        return list(train)
    limit = int(config.max_share / (1 - config.max_share) * others)
    if not limit:
        raise NotEnoughData(
            f"all {len(train)} rows of the train split are escalated requests, the hard ones; ingest other "
            "answered requests of the call site too, or take them as they are with --set escalated.max_share=1"
        )
    drawn = sorted(escalated, key=lambda row: hashlib.blake2b(row.id.encode(), digest_size=8).digest())[:limit]
    keep = {row.id for row in drawn}
    reason = f"more than {config.max_share:.0%} of the train split: escalated requests are the hard ones"
    return ledger.split(train, lambda row: row.label_source != "escalated" or row.id in keep, "escalated_cap", reason)
