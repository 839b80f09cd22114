"""One call site's requests as rows of a task: filtered, pruned, checked, each text once.

`read` and `clean` are the two halves; between them the call sites of one task agree on pruned prompts
that no two of them share.
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
    """Answered Tier 1 requests of one call site, in the order of time."""

    name: str
    entry: CallSite | None
    scan: Scan
    ledger: filters.Ledger
    rows: list[Row]
    request_type: RequestType
    answers: Counter[str]
    """Short answers of the rows that were read, before any filter looked at them."""
    removed_answers: Mapping[str, Counter[str]]
    """Short answers of the rows that were not read, by SQL filter."""


class Task(NamedTuple):
    """The same with templates and checks; every row has its pruned prompt and canonical answer."""

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
    connection: duckdb.DuckDBPyConnection, name: str, entry: CallSite | None, config: ExtractConfig, policy: Policy
) -> Requests:
    """Raises: NotFound for an unknown call site, InputError if nothing was answered or it is not Tier 1."""
    scan = rows.scan(connection, name)
    found = rows.read(connection, name)
    ledger = filters.Ledger(scan.attempts)
    for sql in rows.SQL_FILTERS:
        ledger.add(sql.name, scan.removed[sql.name], sql.reason)
    found = ledger.split(found, lambda row: not row.calls_tools, "tool_calls", rows.CALLS_TOOLS)
    found = filters.with_whole_contents(found, name, ledger)
    if not found:
        raise InputError(
            f"{name}: none of its {scan.attempts} attempts has an answer to train on; removed: {ledger.in_words()}"
        )
    answers = Counter(row.answer.strip() for row in found if len(row.answer) <= rows.SHORT)
    types = tier_filter.by_rules(found, name, entry, config, policy)
    found = tier_filter.tier_1(found, name, config, ledger)
    found = consent_and_terms.permitted(found, name, consent_and_terms.load(config.rights), ledger)
    request_type = request_type_of(found, entry, config, types)
    taken = rows.removed_answers(connection, name)
    return Requests(name, entry, scan, ledger, found, request_type, answers, taken)


def clean(requests: Requests, system: str, config: ExtractConfig) -> Task:
    """Rows with a template and a good answer, one per text. `system` is the pruned system prompt."""
    name, entry, scan, ledger, found, request_type = requests[:6]
    sample = [row.messages for row in rows.evenly(found, _TEMPLATE_SAMPLE)]
    templates = find_templates(sample, config.template_min_share, system=system)
    asked = found
    found = filters.with_template(found, templates, ledger)
    found = filters.without_control_tokens(found, ledger)
    prompts = prompt_history.of(name, asked, templates)
    checks = discover_checks(found, templates, request_type, entry, config)
    keep_reasoning = config.reasoning == "keep"
    found = filters.with_good_answer(found, checks.checks, ledger, keep_reasoning=keep_reasoning)
    label_coverage.before_answers(
        ledger, found, requests.answers, requests.removed_answers, checks.checks, fixed_text(templates)
    )
    seen = label_coverage.Watch(ledger, found, {name: checks.checks})
    private = privacy.redact(found, config.privacy, ledger, templates, checks.checks.labels, config.processes)
    found = filters.distinct(private.rows, ledger)
    seen.note(found)
    return Task(name, scan, ledger, found, request_type, templates, checks, prompts, private.data, private.redaction)


def systems(request_types: Mapping[str, RequestType]) -> dict[str, str]:
    """A pruned system prompt for each call site; none is another's, with a version number after it or not.

    The short name of `pruned_system` where no other call site wants it, else the whole name as words.
    """
    short = {name: pruned_system(name, request_type) for name, request_type in request_types.items()}
    wanted = [_bare(system) for system in short.values()]
    chosen: dict[str, str] = {}
    for name, system in short.items():
        whole = " ".join(re.findall(r"\w+", name.lower())) or system
        chosen[name] = _free(system if wanted.count(_bare(system)) == 1 else whole, chosen.values())
    return chosen


def _free(system: str, taken: Iterable[str]) -> str:
    used = {_bare(each) for each in taken}
    while _bare(system) in used:
        # Not a number: numbers tell the versions of one call site's prompt apart.
        system += " b"
    return system


def _bare(system: str) -> str:
    return re.sub(r"(?: \d+)+$", "", system)
