"""Write the demo's request log (LiteLLM JSONL of an invented company) and its ground truth.

    python -m demo.traffic LOG.jsonl --requests 6000 --days 14

The same arguments give the same bytes. The log has the defects of real ones (see `demo.company`) and truncated lines;
`gold.jsonl` beside it has the right answer and the injected defects of each attempt.
"""

import argparse
import datetime as dt
import random
import sys
from collections import Counter
from pathlib import Path

import msgspec

from demo.company import Company, Line
from traffic.artifacts import write_atomic

FIRST_DAY = dt.date(2026, 11, 1)
_CUT_LINE_RATE = 0.0015
"""Share of lines that are repeated in truncated form, as by a writer that was killed and retried."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a generated log."""

    path: str
    gold: str
    requests: int
    rows: int
    """Attempts; the log has `cut_lines` more lines."""
    cut_lines: int
    call_sites: dict[str, int]
    """Requests by call site."""
    languages: dict[str, int]
    repeated: int
    """Requests that repeat an earlier message."""
    failed_attempts: int
    cache_hits: int
    without_usage: int
    feedback: int
    faults: dict[str, int]
    """Faulty answers by kind."""
    logged_cost_usd: float

    def lines(self) -> list[str]:
        """The statistics as text."""
        sites = ", ".join(f"{name} {n}" for name, n in self.call_sites.items())
        dirt = {
            "repeated messages": self.repeated,
            "failed attempts": self.failed_attempts,
            "cache hits": self.cache_hits,
            "faulty answers": sum(self.faults.values()),
            "with feedback": self.feedback,
            "cut lines": self.cut_lines,
        }
        return [
            f"invented {self.requests} requests of a company, {self.rows} attempts, USD {self.logged_cost_usd:.2f}",
            f"  by call site: {sites}",
            f"  of them: {', '.join(f'{n} {name}' for name, n in dirt.items())}",
            f"wrote {self.path} and {self.gold}",
        ]


def generate(path: Path, *, requests: int, days: int, seed: int, first_day: dt.date = FIRST_DAY) -> Facts:
    """Write the log to `path`, gold.jsonl and customers.csv beside it. Raises: ValueError for no requests, no days."""
    if requests < 1 or days < 1:
        raise ValueError(f"requests and days must be at least 1, not {requests} and {days}")
    rng = random.Random(seed)
    company = Company(rng, requests, days, first_day)
    lines = sorted(company.lines(), key=lambda line: (line.ts, line.gold.id))
    encode = msgspec.json.Encoder().encode
    log_lines: list[bytes] = []
    cut = 0
    for line in lines:
        data = encode(line.row)
        log_lines.append(data)
        if rng.random() < _CUT_LINE_RATE:
            log_lines.append(data[: len(data) // 3])
            cut += 1
    gold = path.with_name("gold.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, b"\n".join(log_lines) + b"\n")
    write_atomic(gold, b"\n".join(encode(line.gold) for line in lines) + b"\n")
    paying = [f"{customer},{plan},{first_day.year}-01-01,\n" for customer, plan in company.subscriptions]
    write_atomic(path.with_name("customers.csv"), "customer_id,plan,paying_from,paying_until\n" + "".join(paying))
    return _facts(path, gold, lines, cut)


def _facts(path: Path, gold: Path, lines: list[Line], cut: int) -> Facts:
    first_attempts = [line for line in lines if line.gold.attempt == 1]
    answered = [line for line in lines if line.row["status"] == "success"]
    tags = [line.row["metadata"]["requester_metadata"] for line in answered]
    return Facts(
        path=str(path),
        gold=str(gold),
        requests=len(first_attempts),
        rows=len(lines),
        cut_lines=cut,
        call_sites=dict(Counter(line.gold.feature for line in first_attempts).most_common()),
        languages=dict(Counter(line.gold.language for line in first_attempts).most_common()),
        repeated=sum(line.gold.duplicate_of is not None for line in first_attempts),
        failed_attempts=len(lines) - len(answered),
        cache_hits=sum(line.row["cache_hit"] for line in answered),
        without_usage=sum(line.row["metadata"]["usage_object"] is None for line in answered),
        feedback=sum("feedback" in tag for tag in tags),
        faults=dict(Counter(line.gold.injected_fault for line in lines if line.gold.injected_fault).most_common()),
        logged_cost_usd=round(sum(line.row["response_cost"] for line in lines), 6),
    )


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Write the demo's request log and its right answers.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    facts = generate(arguments.path, requests=arguments.requests, days=arguments.days, seed=arguments.seed)
    sys.stdout.write("\n".join([*facts.lines(), ""]))


if __name__ == "__main__":
    main()
