"""The current deployment table of Tier 1 with its models and thresholds, hot-reloaded.

The file is checked once a second. A change is applied completely or not at all: while the file is missing or broken, or
names an adapter or calibration that cannot be read, the last good table stays in effect.
"""

import asyncio
import functools
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from router.config_reload import file_state
from router.request import ChatRequest
from traffic import calibrations, deployments, own_models
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.checks import failed_checks
from traffic.confidence import Threshold
from traffic.deployments import Deployment, Deployments
from traffic.errors import FastTierError, InputError, NotFound
from traffic.own_models import Card
from traffic.prompts import Messages, match_any, render
from traffic.redaction.phones import TooManyValues
from traffic.redaction.redactor import redact

POLL_SECONDS = 1.0


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request prepared for an adapter: the pruned prompt, and the requirements on its answer."""

    deployment: Deployment
    messages: Messages
    template: str
    """Id of the matching template."""
    max_tokens: int
    checks: Checks
    threshold: Threshold | None
    whole: bool = False
    """The answer is compared or only logged, so it is not streamed."""
    redacted: bool = False
    """The adapter was trained with placeholders; an unknown one in its answer is an error."""
    originals: Mapping[str, str] = {}
    """Personal data of the request by placeholder, to restore in the answer."""

    @property
    def judged(self) -> bool:
        """Whether the answer must be complete before it can be sent, because it may be rejected."""
        if self.whole or self.originals:
            return True
        return self.threshold is not None or self.checks != Checks(refuse_refusals=self.checks.refuse_refusals)


NotUsed = Literal["no_deployment", "canary", "several_choices", "tools", "no_template", "missing_key", "personal_data"]
"""Reason why a Tier 1 request does not go to an adapter."""


class Deployed(msgspec.Struct, frozen=True, dict=True):
    """A deployment table with everything that it refers to."""

    table: Deployments = Deployments()
    models: dict[str, Card] = {}
    thresholds: dict[str, Threshold] = {}
    """Thresholds by the calibration path in the deployment."""
    shadows: bool = False
    """Whether there are shadows; most tables have none, and the lookup is skipped."""

    @functools.cached_property
    def call_sites(self) -> frozenset[str | None]:
        """Call sites in the table."""
        return frozenset(entry.call_site for entry in self.table.entries)

    def prepare(
        self,
        request: ChatRequest,
        *,
        min_margin: float | None,
        environ: Mapping[str, str],
        high_stakes: bool = False,
        shadow: bool = False,
    ) -> Prepared | NotUsed:
        """The request prepared for its adapter, or why it has none; `shadow`: for the shadow adapter."""
        if request.call_site not in self.call_sites:
            return "no_deployment"
        entry = self.table.lookup(request.call_site, request.cohort, shadow=shadow)
        if entry is None:
            return "no_deployment"
        # All requests of a session are on the same side of a canary.
        if not entry.in_share(request.session_id or request.user_id or request.id):
            return "canary"
        if entry.endpoint.api_key_env is not None and not environ.get(entry.endpoint.api_key_env):
            return "missing_key"
        if (request.body.n or 1) > 1:
            return "several_choices"
        if request.tools:
            return "tools"
        prompts = self.models[entry.adapter].call_sites[entry.call_site]
        # Decodes all messages, so that invalid ones are rejected before any endpoint is asked.
        matched = match_any(prompts.templates, request.template_messages)
        if matched is None:
            return "no_template"
        template, slots = matched
        originals: Mapping[str, str] = {}
        if prompts.redaction is not None:
            try:
                slots, originals = redact(slots, prompts.redaction)
            except TooManyValues:
                return "personal_data"
        threshold = Threshold("min_margin", min_margin) if min_margin is not None else None
        if entry.calibration is not None:
            threshold = self.thresholds[entry.calibration]
        return Prepared(
            deployment=entry,
            messages=render(template, slots),
            template=template.id,
            max_tokens=prompts.max_tokens,
            checks=prompts.checks,
            threshold=threshold,
            whole=high_stakes or entry.shadow,
            redacted=prompts.redaction is not None,
            originals=originals,
        )


def read(home: Home) -> Deployed:
    """The table of a home with everything that it refers to. Raises: NotFound, ConfigError, InputError."""
    table = deployments.load(home.deployments)
    cards: dict[str, Card] = {}
    thresholds: dict[str, Threshold] = {}
    for entry in table.entries:
        card = cards.setdefault(entry.adapter, own_models.load(own_models.named(home, entry.adapter)))
        if entry.call_site not in card.call_sites:
            raise InputError(f"{home.deployments}: {entry.adapter} was not trained for {entry.call_site}")
        # An invalid check (a broken JSON schema) would fail every answer, so it is detected here.
        failed_checks("{}", "stop", card.call_sites[entry.call_site].checks)
        if entry.calibration is not None:
            thresholds[entry.calibration] = calibrations.load_cut(entry.calibration_path(home))
    return Deployed(table, cards, thresholds, any(entry.shadow for entry in table.entries))


class Watcher:
    """Keeps `deployed` up to date; `error` has the reason if a newer file was not applied."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._last_state: Any = None
        self.deployed = Deployed()
        self.error: str | None = None
        self.reloads = 0

    def look(self) -> None:
        """Read the table if it has changed since the last check."""
        state = file_state(self._home.deployments)
        # A table that failed may become valid without a change, when its adapter is copied later.
        if state == self._last_state and self.error is None:
            return
        if state is None and self._last_state is None:
            return
        self._last_state = state
        try:
            self.deployed = read(self._home)
        except NotFound as error:
            self.error = f"{error}" if state is not None else f"{self._home.deployments} is gone"
        except (FastTierError, OSError) as error:
            self.error = str(error)
        else:
            self.error = None
            self.reloads += 1

    async def watch(self) -> None:
        """Check once a second, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # In a thread: reading adapter.yaml takes milliseconds, which would block requests.
            await asyncio.to_thread(self.look)
