"""Running servers and deployments.

fasttier status
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from serving import provenance, supervise
from serving.classifier_parity import ClassifierParity
from serving.parity import ParityReport
from serving.provenance import Provenance
from serving.supervise import ServerState
from traffic import deployments
from traffic.artifacts import Home
from traffic.deployments import Deployment


class Served(msgspec.Struct, frozen=True):
    """A server started by `fasttier serve`, with the parity checks of its models."""

    base_url: str
    pid: int
    checked: tuple[ParityReport | ClassifierParity, ...]
    log: str

    @property
    def exit_status(self) -> int:
        """1 if a parity check failed."""
        return int(not all(report.passed for report in self.checked))

    def lines(self) -> list[str]:
        checks = [line for report in self.checked for line in report.lines()]
        if self.exit_status:
            return checks
        names = ", ".join(report.model for report in self.checked)
        return [
            *checks,
            f"serving {names} at {self.base_url} (log: {self.log}); Ctrl-C stops it",
            f"next: fasttier register {self.checked[0].model}, in another terminal",
        ]


class Status(msgspec.Struct, frozen=True):
    """Running servers, and deployments."""

    servers: tuple[ServerState, ...]
    deployed: tuple[Deployment, ...]
    unreachable: tuple[str, ...]
    """Base URLs of deployments that do not answer; their requests go to Tier 2."""
    provenance: tuple[Provenance, ...] = ()
    """One per deployment."""
    today: date = date.max

    def lines(self) -> list[str]:
        servers = [
            f"server {state.pid} at {state.base_url}: {', '.join(state.models)} (log: {state.log})"
            for state in self.servers
        ]
        origins = self.provenance or (None,) * len(self.deployed)
        deployed: list[str] = []
        for entry, origin in zip(self.deployed, origins, strict=True):
            deployed += self._deployment(entry)
            deployed += origin.lines(self.today) if origin else []
        return [*(servers or ["no server runs here"]), *(deployed or ["nothing is deployed at Tier 1"])]

    def _deployment(self, entry: Deployment) -> Iterator[str]:
        url = entry.endpoint.base_url
        cohort = "".join(f" {key}={value}" for key, value in sorted((entry.cohort or {}).items()))
        details = [
            *(["DOES NOT ANSWER"] if url in self.unreachable else []),
            ("shadow of " if entry.shadow else "") + f"{entry.share:.0%} of requests",
            *([f"calibrated: {Path(entry.calibration).parent.name}"] if entry.calibration else []),
            *([f"key in {entry.endpoint.api_key_env}"] if entry.endpoint.api_key_env else []),
            f"since {entry.since:%Y-%m-%d %H:%M}",
            f"decision {entry.decision}" if entry.decision else f"override: {entry.override}",
        ]
        yield f"{entry.call_site}{cohort}: {entry.adapter} at {url} ({', '.join(details)})"
        if entry.only:
            promoted = "; ".join(f"{key} {', '.join(values)}" for key, values in entry.only.items())
            yield f"  only for the cohorts that the gate promoted: {promoted}"


def status(home: Home, *, now: datetime | None = None) -> Status:
    """Running servers, deployments and their provenance. Raises: ConfigError if the table is broken."""
    table = deployments.load_or_empty(home.deployments)
    urls = sorted({entry.endpoint.base_url for entry in table.entries})
    return Status(
        tuple(supervise.running(home)),
        table.entries,
        tuple(url for url in urls if not supervise.answers(url)),
        tuple(provenance.of(home, entry) for entry in table.entries),
        (now or datetime.now(UTC)).date(),
    )
