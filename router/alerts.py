"""Warnings at most once per call site and hour, on stderr and in `/health`."""

import sys
from collections.abc import Callable

import msgspec

EVERY_S = 3600.0


class Unmatched(msgspec.Struct):
    """Number of requests of one call site that matched no template of its adapter."""

    since: float
    """Start of the hour on the caller's clock."""
    count: int = 0
    last: float = 0.0


def _stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Alerts:
    """Warns of adapters that are not used because the application changed its prompt, which silently costs money."""

    def __init__(self, write: Callable[[str], None] = _stderr) -> None:
        self._write = write
        self._sites: dict[str, Unmatched] = {}

    def no_template(self, call_site: str, now: float) -> None:
        """Count a request of a deployed call site that matched no template."""
        site = self._sites.get(call_site)
        if site is None or now - site.since >= EVERY_S:
            site = self._sites[call_site] = Unmatched(now)
            line = {
                "level": "warning",
                "event": "no_template",
                "call_site": call_site,
                "message": _message(call_site),
            }
            self._write(msgspec.json.encode(line).decode())
        site.count += 1
        site.last = now

    def warnings(self, now: float) -> list[str]:
        """Warnings of the last hour."""
        return [
            f"{_message(name)} ({site.count} requests since {(now - site.since) / 60:.0f} minutes ago)"
            for name, site in self._sites.items()
            if now - site.last < EVERY_S
        ]


def _message(call_site: str) -> str:
    return (
        f"call site {call_site}: requests match no template that its adapter was trained for, and go to Tier 2; "
        "if the application changed its prompt, extract and train again"
    )
