"""Reads the requests of one call site and turns them into unique, checked dataset rows.

`read` applies the filters that need no template. `clean` runs once the call sites of a task have distinct pruned
system prompts (`systems`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import duckdb

from pipeline.dataset import PersonalData, Prompts
from pipeline.extract import consent_and_terms, filters, label_coverage, privacy, prompt_history, rows, tier_filter
from pipeline.extract.config import ExtractConfig
from pipeline.extract.rows import Row, Scan
from pipeline.extract.task import TaskChecks, discover_checks, fixed_text, request_type_of
from traffic.callsites import CallSite, RequestType
from traffic.errors import InputError
from traffic.policy import Policy
from traffic.prompts import Template
from traffic.redaction import Redaction
from traffic.templates import find_templates, pruned_system

_TEMPLATE_SAMPLE = 20_000


class Requests(NamedTuple):
    """Answered Tier 1 requests of one call site in time order."""

    name: str
    entry: CallSite | None
    scan: Scan
    ledger: filters.Ledger
    rows: list[Row]
    request_type: RequestType
    answers: Counter[str]
    """Short answers of the rows that were read, before any filter ran."""
    removed_answers: Mapping[str, Counter[str]]
    """Short answers of the rows that were removed in SQL, by filter."""


class Task(NamedTuple):
    """Cleaned requests of one call site: every row has a template, a pruned prompt and a canonical answer."""

    name: str
    scan: Scan
    ledger: filters.Ledger
    rows: list[Row]
    request_type: RequestType
    templates: list[Template]
    checks: TaskChecks
    prompts: Prompts = Prompts()
    personal: PersonalData | None = None
    redaction: Redaction | None = None


def read(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    entry: CallSite | None,
    config: ExtractConfig,
    policy: Policy,
    permissions: consent_and_terms.Permissions,
) -> Requests:
    """Raises: NotFound for an unknown call site, InputError if nothing was answered or it is not Tier 1."""
    scan = rows.scan(connection, name)
    answered = rows.read(connection, name)
    ledger = filters.Ledger(scan.attempts)
    for sql in rows.SQL_FILTERS:
        ledger.add(sql.name, scan.removed[sql.name], sql.reason)
    answered = ledger.split(answered, lambda row: not row.calls_tools, "tool_calls", rows.CALLS_TOOLS)
    answered = ledger.split(answered, lambda row: not _is_begun(row), "prefilled_answer", _PREFILLED)
    answered = filters.with_whole_contents(answered, name, ledger)
    if not answered:
        raise InputError(
            f"{name}: no attempt of {scan.attempts} has an answer to train on; removed: {ledger.in_words()}"
        )
    answers = Counter(row.answer.strip() for row in answered if len(row.answer) <= rows.SHORT)
    types = tier_filter.by_rules(answered, name, entry, config, policy)
    answered = tier_filter.tier_1(answered, name, config, ledger)
    answered = consent_and_terms.permitted(answered, name, permissions, ledger)
    request_type = request_type_of(answered, entry, config, types)
    removed_answers = rows.removed_answers(connection, name)
    return Requests(name, entry, scan, ledger, answered, request_type, answers, removed_answers)


_PREFILLED = "the prompt begins the answer itself (a last message of the assistant), and the log has only the rest"


def _is_begun(row: Row) -> bool:
    return bool(row.messages) and row.messages[-1]["role"] == "assistant"


def clean(requests: Requests, system: str, config: ExtractConfig) -> Task:
    """The rows with a template and a valid answer, one per text. `system` is the pruned system prompt."""
    name, entry, scan, ledger, answered, request_type = requests[:6]
    sample = [row.messages for row in rows.evenly(answered, _TEMPLATE_SAMPLE)]
    templates = find_templates(sample, config.template_min_share, system=system)
    read_rows = answered
    answered = filters.with_template(answered, templates, ledger)
    answered = filters.without_control_tokens(answered, ledger)
    prompts = prompt_history.of(name, read_rows, templates)
    checks = discover_checks(answered, templates, request_type, entry, config)
    keep_reasoning = config.reasoning == "keep"
    answered = filters.with_good_answer(answered, checks.checks, ledger, keep_reasoning=keep_reasoning)
    label_coverage.before_answers(
        ledger, answered, requests.answers, requests.removed_answers, checks.checks, fixed_text(templates)
    )
    coverage = label_coverage.CoverageTracker(ledger, answered, {name: checks.checks})
    redacted = privacy.redact(answered, config.privacy, ledger, templates, checks.checks.labels, config.processes)
    answered = filters.distinct(redacted.rows, ledger)
    coverage.note(answered)
    return Task(
        name, scan, ledger, answered, request_type, templates, checks, prompts, redacted.data, redacted.redaction
    )


def systems(request_types: Mapping[str, RequestType]) -> dict[str, str]:
    """Distinct pruned system prompts by call site, ignoring trailing version numbers.

    The short form of `pruned_system`, or the whole name as words where two call sites share a short form.
    """
    short = {name: pruned_system(name, request_type) for name, request_type in request_types.items()}
    short_forms = [_bare(system) for system in short.values()]
    chosen: dict[str, str] = {}
    for name, system in short.items():
        full_name = " ".join(re.findall(r"\w+", name.lower())) or system
        chosen[name] = _unused(system if short_forms.count(_bare(system)) == 1 else full_name, chosen.values())
    return chosen


def _unused(system: str, taken: Iterable[str]) -> str:
    used = {_bare(prompt) for prompt in taken}
    while _bare(system) in used:
        # Not a number: a trailing number is the version of one call site's prompt.
        system += " b"
    return system


def _bare(system: str) -> str:
    return re.sub(r"(?: \d+)+$", "", system)
