"""Deploy a served adapter or classifier at Tier 1 of its call sites, and roll it back.

    fasttier register ADAPTER --url URL [--api-key-env NAME] [--allow-http] [--decision FILE | --override REASON]
        [--cohort language=de] [--share 0.1] [--shadow]
    fasttier rollback CALL_SITE [--cohort language=de] [--shadow]

Two gates: the endpoint must pass the parity check, and a decision must have the verdict "build" for the adapter's task.
--override replaces the decision by a reason, which is kept in the history.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from serving import decision as decisions
from serving import supervise, thresholds
from serving.classifier_parity import ClassifierParity
from serving.decision import Decision
from serving.parity import ParityReport
from traffic import config, deployments, own_models
from traffic.artifacts import Home
from traffic.classifiers import Classifier
from traffic.deployments import Deployment
from traffic.errors import ConfigError, EndpointError, InputError, MissingSecret
from traffic.own_models import Card
from traffic.tiers import Endpoint, is_loopback

CALL_SITE = "call_site"
"""Cohort key for the call sites of a task; each has its own deployment."""
DEFAULT_KEY = "VLLM_API_KEY"
"""Default environment variable of the key, for endpoints that require one."""


class DeploymentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment to register, with its decision or override."""

    adapter: Path
    """Folder of the adapter."""
    endpoint: Endpoint
    call_sites: tuple[str, ...] = ()
    """Empty: all call sites that the adapter was trained for."""
    decision: Path | None = None
    override: str | None = None
    """Reason for deploying without a build verdict."""
    cohort: dict[str, str] | None = None
    """Only requests with these cohort values."""
    share: float = 1.0
    shadow: bool = False
    """Deploy as a shadow: the adapter is also asked, but its answers are only logged."""
    calibrate: bool = True
    """Deploy with thresholds: those of the decision, else of the newest calibration on the adapter's own dataset."""


class Registration(msgspec.Struct, frozen=True):
    """Result of `register` or `rollback`."""

    registered: bool
    """Whether the deployment table was changed."""
    adapter: str | None
    """The adapter that answers now; None: none at Tier 1."""
    call_sites: tuple[str, ...]
    path: str
    reasons: tuple[str, ...] = ()
    """Reasons of a refusal, or notes."""
    shadow: bool = False

    @property
    def exit_status(self) -> int:
        """1 if a gate refused."""
        return int(not self.registered)

    def lines(self) -> list[str]:
        sites = ", ".join(self.call_sites)
        if not self.registered:
            return [f"{self.adapter} is not deployed for {sites}:", *(f"  {reason}" for reason in self.reasons)]
        verb = "shadows" if self.shadow else "answers"
        headline = f"{self.adapter} {verb} {sites} at Tier 1" if self.adapter else f"nothing answers {sites} at Tier 1"
        return [f"{headline} ({self.path})", *self.reasons, "next: fasttier status; undo: fasttier rollback CALL_SITE"]


def endpoint_of(adapter: str, base_url: str, *, api_key_env: str | None = None, allow_http: bool = False) -> Endpoint:
    """The endpoint of an adapter, with its URL checked before anything is sent. Raises: ConfigError."""
    try:
        url = urlsplit(base_url.rstrip("/"))
        host = url.hostname or ""
        if url.scheme == "http" and host and not is_loopback(host) and not allow_http:
            raise ConfigError(
                f"--url is plain http to {host}: prompts and the key could be intercepted; "
                "use https, or --allow-http inside a private network"
            )
        return Endpoint(
            name=adapter,
            kind="vllm",
            # A URL without a path gets the usual one.
            base_url=url._replace(path=url.path or "/v1").geturl(),
            model=adapter,
            api_key_env=api_key_env,
            allow_http=allow_http,
        )
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"--url: {error}") from None


def with_key(endpoint: Endpoint, environ: Mapping[str, str]) -> tuple[Endpoint, str | None]:
    """The endpoint with the environment variable of its key, and the key; None if it requires none.

    The router reads the key from the same variable, so the parity check uses the router's key.
    Raises: MissingSecret if the variable is not set, EndpointError if the endpoint does not answer or refuses the key.
    """
    name = endpoint.api_key_env
    if name is None and supervise.wants_key(endpoint.base_url):
        name = DEFAULT_KEY if environ.get(DEFAULT_KEY) else None
        if name is None:
            raise EndpointError(f"{endpoint.base_url} requires a key: name its environment variable with --api-key-env")
    if name is None:
        return endpoint, None
    if not environ.get(name):
        raise MissingSecret(f"the environment variable {name} is not set; {endpoint.base_url} needs it as its key")
    return msgspec.structs.replace(endpoint, api_key_env=name), environ[name].strip()


def register(
    home: Home, request: DeploymentRequest, parity: ParityReport | ClassifierParity, *, now: datetime | None = None
) -> Registration:
    """Deploy an adapter. A refusal by a gate is a result with reasons, not an error.

    Raises: InputError if it was not trained for a call site, or the parity report is of another model;
        ConfigError, NotFound for its files or the decision.
    """
    now_utc = now or datetime.now(UTC)
    card = own_models.load(request.adapter)
    _check(request, card, parity)
    request = msgspec.structs.replace(request, override=(request.override or "").strip() or None)
    sites = request.call_sites or tuple(card.call_sites)
    cohort = request.cohort or {}
    reasons = decisions.refusals(
        card, parity, decision=request.decision, override=request.override, cohort=cohort, today=now_utc.date()
    )
    decision = config.load(request.decision, Decision) if request.decision else None
    only = decision.promoted(cohort) if decision and not request.override and not reasons else {}
    excluded = tuple(site for site in sites if site not in only.get(CALL_SITE, sites))
    if excluded and request.decision and (request.call_sites or len(excluded) == len(sites)):
        reasons.append(f"the gate did not promote {', '.join(excluded)}: see {request.decision.name}")
    if reasons:
        return Registration(False, card.name, sites, str(home.deployments), tuple(reasons))
    sites = tuple(site for site in sites if site not in excluded)
    # A shadow serves all cohorts, since its answers are only logged: that collects evidence for the others.
    promoted = {} if request.shadow else {key: values for key, values in only.items() if key != CALL_SITE}
    judged_with = decision.calibrations_of(card.name, cohort) if decision else None
    thresholds_notes = _deploy(home, request, card, sites, promoted, judged_with, now_utc)
    notes = [*_notes(request, excluded, promoted), *thresholds_notes]
    return Registration(True, card.name, sites, str(home.deployments), tuple(notes), request.shadow)


def _check(request: DeploymentRequest, card: Card, parity: ParityReport | ClassifierParity) -> None:
    """Raises: InputError for arguments that do not fit the adapter."""
    if not 0 <= request.share <= 1:
        raise InputError(f"share must be between 0 and 1, not {request.share:g}")
    untrained = [site for site in request.call_sites if site not in card.call_sites]
    if untrained:
        raise InputError(
            f"{card.name} was not trained for {', '.join(untrained)}, only for {', '.join(card.call_sites)}"
        )
    if parity.model != card.name:
        raise InputError(f"the parity check was of {parity.model!r}, not of {card.name!r}; run it for this adapter")


def _deploy(
    home: Home,
    request: DeploymentRequest,
    card: Card,
    sites: Sequence[str],
    only: dict[str, tuple[str, ...]],
    judged_with: Mapping[str, str] | None,
    at: datetime,
) -> list[str]:
    """Write the deployments of all call sites; returns notes on their thresholds."""
    notes = []
    with deployments.locked(home.deployments):
        table = deployments.load_or_empty(home.deployments)
        for site in sites:
            if request.calibrate:
                calibration, note = thresholds.choose(home, site, card, judged_with)
            else:
                calibration, note = None, _without_threshold(site, judged_with)
            notes.append(f"{site}: {note}")
            answering = table.current(site, request.cohort)
            if request.shadow and answering is not None and answering.adapter == card.name:
                raise InputError(f"{card.name} answers {site} already and cannot be its own shadow")
            deployment = Deployment(
                call_site=site,
                cohort=request.cohort or None,
                only=only,
                adapter=card.name,
                endpoint=_endpoint(request.endpoint, card, site),
                share=request.share,
                shadow=request.shadow,
                calibration=calibration,
                since=at,
                # With an override the decision is not recorded as the reason.
                decision=request.decision.name if request.decision and not request.override else None,
                override=request.override,
            )
            table = deployments.with_deployment(table, deployment)
        deployments.save(home.deployments, table)
    return notes


def _endpoint(endpoint: Endpoint, card: Card, call_site: str) -> Endpoint:
    """The endpoint with the served name of this call site's model."""
    if not isinstance(card, Classifier):
        return endpoint
    return msgspec.structs.replace(endpoint, kind="classifier", model=card.served_name(call_site))


def _notes(request: DeploymentRequest, excluded: Sequence[str], only: Mapping[str, Sequence[str]]) -> list[str]:
    notes = []
    if request.shadow:
        notes.append("as a shadow: its answers are only logged")
    if request.override:
        notes.append(f"without a build verdict: {request.override}")
    notes += [f"the gate did not promote {site}" for site in excluded]
    if only:
        promoted = "; ".join(f"{key} {', '.join(values)}" for key, values in only.items())
        notes.append(f"only for the cohorts that the gate promoted: {promoted}")
    if request.endpoint.api_key_env:
        notes.append(f"the router needs the endpoint's key in {request.endpoint.api_key_env}")
    return notes


def _without_threshold(call_site: str, judged_with: Mapping[str, str] | None) -> str:
    calibration = (judged_with or {}).get(call_site)
    return "no threshold, as requested" + (f"; the decision was made with {calibration}" if calibration else "")


def cohort_of(pairs: Sequence[str]) -> dict[str, str] | None:
    """Parse `["language=de"]` to a cohort; None if empty. Raises: InputError."""
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
    warning = f"{url} does not answer now; until it does, its requests go to Tier 2"
    notes = (warning,) if url and not supervise.answers(url) else ()
    return Registration(True, current.adapter if current else None, (call_site,), str(home.deployments), notes)
