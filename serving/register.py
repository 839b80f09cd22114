"""Put a served adapter in front of its call sites, take it back, and say what is deployed.

    fasttier register ADAPTER --url URL [--decision FILE | --override REASON] [--cohort language=de] [--share 0.1]
        [--shadow]
    fasttier rollback CALL_SITE [--cohort language=de] [--shadow]
    fasttier status

Two gates: the endpoint must have passed the parity check, and a decision must say "build" for the
adapter's task, or a person must say why it is deployed without one; that reason stays in the history.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from serving import provenance, supervise, thresholds
from serving.parity import ParityReport
from serving.provenance import Provenance
from serving.supervise import ServerState
from traffic import adapters, config, deployments
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.deployments import Deployment
from traffic.errors import ConfigError, InputError
from traffic.tiers import Endpoint

CALL_SITE = "call_site"
"""The cohort key of a task with several call sites: each has a deployment of its own."""


class Registration(msgspec.Struct, frozen=True):
    """What `register` or `rollback` did."""

    registered: bool
    """Whether the table was changed."""
    adapter: str | None
    """What answers now; None: nothing at Tier 1."""
    call_sites: tuple[str, ...]
    path: str
    reasons: tuple[str, ...] = ()
    """Why it was refused, or what to know."""
    shadow: bool = False

    @property
    def exit_status(self) -> int:
        """1: a gate said no."""
        return int(not self.registered)

    def lines(self) -> list[str]:
        sites = ", ".join(self.call_sites)
        if not self.registered:
            return [f"{self.adapter} is not deployed for {sites}:", *(f"  {reason}" for reason in self.reasons)]
        verb = "shadows" if self.shadow else "answers"
        what = f"{self.adapter} {verb} {sites} at Tier 1" if self.adapter else f"nothing answers {sites} at Tier 1"
        return [f"{what} ({self.path})", *self.reasons, "next: fasttier status; undo: fasttier rollback CALL_SITE"]


class Served(msgspec.Struct, frozen=True):
    """A server that `fasttier serve` started, and how its adapters compare with their training."""

    base_url: str
    pid: int
    checked: tuple[ParityReport, ...]
    log: str

    @property
    def exit_status(self) -> int:
        """1: an adapter does not answer as it was trained to."""
        return int(not all(report.passed for report in self.checked))

    def lines(self) -> list[str]:
        checks = [line for report in self.checked for line in report.lines()]
        names = ", ".join(report.model for report in self.checked)
        ready = [f"serving {names} at {self.base_url} (log: {self.log}); Ctrl-C stops it"]
        following = f"next: fasttier register {self.checked[0].model}, in another terminal"
        return [*checks, *ready, following] if not self.exit_status else checks


class Status(msgspec.Struct, frozen=True):
    """Servers that run, and what is deployed."""

    servers: tuple[ServerState, ...]
    deployed: tuple[Deployment, ...]
    unreachable: tuple[str, ...]
    """Base URLs of deployments that do not answer now: their requests go to Tier 2."""
    provenance: tuple[Provenance, ...] = ()
    """Of each deployment: its training run, its data, its evidence."""
    today: date = date.max

    def lines(self) -> list[str]:
        servers = [
            f"server {state.pid} at {state.base_url}: {', '.join(state.models)} (log: {state.log})"
            for state in self.servers
        ]
        deployed = []
        origins = self.provenance or (None,) * len(self.deployed)
        for entry, origin in zip(self.deployed, origins, strict=True):
            url = entry.endpoint.base_url
            why = f"decision {entry.decision}" if entry.decision else f"override: {entry.override}"
            cohort = "".join(f" {key}={value}" for key, value in sorted((entry.cohort or {}).items()))
            cut = f", calibrated: {Path(entry.calibration).parent.name}" if entry.calibration else ""
            down = "DOES NOT ANSWER, " if url in self.unreachable else ""
            beside = "shadow of " if entry.shadow else ""
            share = f"{entry.share:.0%} of requests"
            deployed.append(
                f"{entry.call_site}{cohort}: {entry.adapter} at {url} ({down}{beside}{share}{cut}, "
                f"since {entry.since:%Y-%m-%d %H:%M}, {why})"
            )
            if entry.only:
                said = "; ".join(f"{key} {', '.join(values)}" for key, values in entry.only.items())
                deployed.append(f"  only for the cohorts that the gate promoted: {said}")
            deployed += origin.lines(self.today) if origin else []
        return [*(servers or ["no server runs here"]), *(deployed or ["nothing is deployed at Tier 1"])]


class _Promotion(msgspec.Struct, frozen=True):
    """Whose requests the winner may have."""

    only: dict[str, tuple[str, ...]] = {}
    """By cohort key the values that the gate promoted. Empty: everyone."""


class _CohortVerdict(msgspec.Struct, frozen=True):
    key: str
    value: str
    verdict: str
    adapter: str | None = None
    calibrations: dict[str, str] | None = None


class _Decision(msgspec.Struct, frozen=True):
    """The slice of a decision file that registering needs; its other keys are ignored."""

    task: str
    verdict: str
    expires: Any
    adapter: str | msgspec.UnsetType | None = msgspec.UNSET
    """What it says to build; null where that is no adapter (the classical candidate won)."""
    calibrations: dict[str, str] | None = None
    """Of a cascade: the folder of each call site's calibration that it was judged with."""
    promotion: _Promotion | None = None
    cohorts: tuple[_CohortVerdict, ...] = ()

    def builds(self, adapter: str, cohort: Mapping[str, str]) -> bool:
        """Whether this one cohort has a verdict of its own to build this adapter."""
        return self._own(adapter, cohort) is not None

    def judged_with(self, adapter: str, cohort: Mapping[str, str]) -> dict[str, str] | None:
        """The calibrations of the cascade that it says to build with this adapter; None: it says no such thing."""
        if self.verdict == "build":
            return self.calibrations if self.adapter == adapter else None
        own = self._own(adapter, cohort)
        return own.calibrations if own else None

    def _own(self, adapter: str, cohort: Mapping[str, str]) -> _CohortVerdict | None:
        mine = (each for each in self.cohorts if len(cohort) == 1 and {each.key: each.value} == dict(cohort))
        return next((each for each in mine if each.verdict == "build" and each.adapter == adapter), None)


def register(
    home: Home,
    adapter: Path,
    base_url: str,
    call_sites: Sequence[str],
    decision: Path | None,
    override: str | None,
    parity: ParityReport,
    *,
    cohort: Mapping[str, str] | None = None,
    share: float = 1.0,
    shadow: bool = False,
    calibrate: bool = True,
    api_key_env: str | None = None,
    allow_http: bool = False,
    now: datetime | None = None,
) -> Registration:
    """Deploy the adapter in folder `adapter`, served at `base_url`, for call sites (none named: all of its own).

    A gate that says no is a result, with its reasons; a wrong argument is an error.
    `shadow`: what answers stays as it is; the adapter is asked as well, and its answers are only logged.
    `calibrate`: with the thresholds that the decision judged it with; else, at each call site, with that of the newest
    calibration of this adapter on its own dataset that has one.
    Raises: InputError if it was not trained for a call site, or the parity report is of another model;
        ConfigError, NotFound for its files, the decision or the URL.
    """
    at = now or datetime.now(UTC)
    if not 0 <= share <= 1:
        raise InputError(f"share must be between 0 and 1, not {share:g}")
    card = adapters.load(adapter)
    sites = tuple(call_sites) or tuple(card.call_sites)
    untrained = [site for site in sites if site not in card.call_sites]
    if untrained:
        raise InputError(
            f"{card.name} was not trained for {', '.join(untrained)}, only for {', '.join(card.call_sites)}"
        )
    if parity.model != card.name:
        raise InputError(f"the parity check was of {parity.model!r}, not of {card.name!r}; run it for this adapter")
    override = override.strip() if override else None
    reasons = _refusals(card, decision, override, parity, at.date(), cohort or {})
    only = _promoted(decision, cohort or {}) if decision and not override and not reasons else {}
    left = [site for site in sites if site not in only.get(CALL_SITE, sites)]
    if left and (call_sites or len(left) == len(sites)):
        reasons.append(f"the gate leaves {', '.join(left)} with what answers now: see {decision and decision.name}")
    sites = tuple(site for site in sites if site not in left) if not reasons else sites
    if reasons:
        return Registration(False, card.name, sites, str(home.deployments), tuple(reasons))
    try:
        endpoint = Endpoint(
            name=card.name,
            kind="vllm",
            base_url=base_url,
            model=card.name,
            api_key_env=api_key_env,
            allow_http=allow_http,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    judged = config.load(decision, _Decision).judged_with(card.name, cohort or {}) if decision else None
    with deployments.locked(home.deployments):
        table = deployments.load_or_empty(home.deployments)
        notes = [f"the gate leaves {site} with what answers now" for site in left]
        # A shadow answers nobody, and is how a cohort without evidence gets some.
        kept = {} if shadow else {key: values for key, values in only.items() if key != CALL_SITE}
        if kept:
            said = "; ".join(f"{key} {', '.join(values)}" for key, values in kept.items())
            notes.append(f"only for the cohorts that the gate promoted: {said}")
        for site in sites:
            calibration, note = thresholds.choose(home, site, card, judged) if calibrate else _left_out(site, judged)
            notes.append(f"{site}: {note}")
            answering = table.current(site, cohort)
            if shadow and answering is not None and answering.adapter == card.name:
                raise InputError(f"{card.name} answers {site} already; a shadow of itself would show nothing")
            deployment = Deployment(
                call_site=site,
                cohort=dict(cohort) if cohort else None,
                only=kept,
                adapter=card.name,
                endpoint=endpoint,
                share=share,
                shadow=shadow,
                calibration=calibration,
                since=at,
                # An override is on record as one even where a decision is named too.
                decision=decision.name if decision and not override else None,
                override=override,
            )
            table = deployments.with_deployment(table, deployment)
        deployments.save(home.deployments, table)
    if override:
        notes.insert(0, f"without a build verdict: {override}")
    if shadow:
        notes.insert(0, "as a shadow: what answered before still does, and its own answers are only logged")
    return Registration(True, card.name, sites, str(home.deployments), tuple(notes), shadow)


def _left_out(call_site: str, judged_with: Mapping[str, str] | None) -> tuple[None, str]:
    """No calibration, and what to know about that."""
    judged = (judged_with or {}).get(call_site)
    return None, "no threshold, as asked" + (
        f", though the decision judged the adapter with {judged}" if judged else ""
    )


def cohort_of(pairs: Sequence[str]) -> dict[str, str] | None:
    """`["language=de"]` as a cohort; None where nothing is given. Raises: InputError."""
    cohort = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not key or not equals or not value:
            raise InputError(f"--cohort takes KEY=VALUE, such as language=de, not {pair!r}")
        cohort[key] = value
    return cohort or None


def rollback(
    home: Home,
    call_site: str,
    *,
    cohort: Mapping[str, str] | None = None,
    shadow: bool = False,
    now: datetime | None = None,
) -> Registration:
    """Undo the last registration of a call site and cohort, or of its shadow.

    Raises: NotFound if nothing is deployed there.
    """
    with deployments.locked(home.deployments):
        table = deployments.load_or_empty(home.deployments)
        table = deployments.rolled_back(table, call_site, at=now or datetime.now(UTC), cohort=cohort, shadow=shadow)
        deployments.save(home.deployments, table)
    current = table.current(call_site, cohort)
    url = current.endpoint.base_url if current else None
    notes = (f"{url} does not answer now; until it does, its requests go to Tier 2",) if url and not _up(url) else ()
    return Registration(True, current.adapter if current else None, (call_site,), str(home.deployments), notes)


def status(home: Home, *, now: datetime | None = None) -> Status:
    """What runs, what is deployed, and what that rests on. Raises: ConfigError if the table is broken."""
    table = deployments.load_or_empty(home.deployments)
    urls = sorted({entry.endpoint.base_url for entry in table.entries})
    return Status(
        tuple(supervise.running(home)),
        table.entries,
        tuple(url for url in urls if not _up(url)),
        tuple(provenance.of(home, entry) for entry in table.entries),
        (now or datetime.now(UTC)).date(),
    )


def _up(base_url: str) -> bool:
    url = f"{supervise.root(base_url)}/health"
    try:
        return supervise.request("GET", url, timeout_s=supervise.REQUEST_TIMEOUT_SECONDS)[0] == 200
    except OSError:
        return False


def _promoted(decision: Path, cohort: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What the gate promoted, of a decision that did not refuse; a cohort's own verdict needs no more than itself."""
    found = config.load(decision, _Decision)
    if found.promotion is None or found.verdict != "build":
        return {}
    return {key: values for key, values in found.promotion.only.items() if key not in cohort}


def _refusals(
    card: Adapter,
    decision: Path | None,
    override: str | None,
    parity: ParityReport,
    today: date,
    cohort: Mapping[str, str],
) -> list[str]:
    reasons = []
    if not parity.passed:
        reasons.append("the endpoint failed the parity check: " + "; ".join(parity.reasons))
    if override:
        return reasons
    how = "say why with --override REASON to deploy it nevertheless"
    if decision is None:
        return [*reasons, f'no decision says "build": name one with --decision FILE, or {how}']
    found = config.load(decision, _Decision)
    if found.task != card.task:
        reasons.append(f"{decision.name} is about {found.task!r}, not about {card.task!r}")
    only = found.promotion.only if found.promotion and found.verdict == "build" else {}
    kept = [f"{key} {value}" for key, value in cohort.items() if value not in only.get(key, (value,))]
    if kept:
        reasons.append(f"the gate of {decision.name} leaves {', '.join(kept)} with what answers now; {how}")
    if found.verdict != "build" and not found.builds(card.name, cohort):
        reasons.append(f'the verdict of {decision.name} is "{found.verdict}", not "build"; {how}')
    elif found.verdict == "build" and found.adapter is not msgspec.UNSET and found.adapter != card.name:
        built = found.adapter or "a candidate that is no adapter"
        reasons.append(f"{decision.name} says to build {built}, not {card.name}; {how}")
    if _date(found.expires, decision) < today:
        reasons.append(
            f"{decision.name} expired on {_date(found.expires, decision)}: prices move; decide again, or {how}"
        )
    return reasons


def _date(value: Any, place: Path) -> date:
    """A date, from what YAML made of a date or a time."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise ConfigError(f"{place}: expires: {value!r} is no date") from None
