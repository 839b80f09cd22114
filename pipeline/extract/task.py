"""Discovers the request type and the answer checks of a call site from its log."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import msgspec

from pipeline.extract import label_set
from pipeline.extract.config import ExtractConfig
from pipeline.extract.rows import Row, evenly
from traffic.answers import unfenced, without_reasoning
from traffic.callsites import CallSite, Checks, RequestType
from traffic.checks import canonical, failed_checks, is_refusal, parse_json
from traffic.prompts import Template

_SAMPLE = 500
_MOSTLY = 0.8
_SAME_FORM = 0.9
"""Minimum share of requests that state the same schema or choice."""
_CLOSED: tuple[RequestType, ...] = ("classification", "intent", "moderation")


_Path = tuple[str | None, ...]
"""Keys on the way to a value of a document; None for the items of a list."""


class TaskChecks(NamedTuple):
    """Checks of a task's answers, and their origin."""

    checks: Checks
    source: str


def canonical_answer(text: str, checks: Checks) -> str:
    """The answer as a completion: canonical, and JSON without optional whitespace, with its keys in their order."""
    answer = canonical(text, checks)
    if checks.needs_json:
        return msgspec.json.encode(parse_json(answer)).decode()
    return answer


def in_one_key_order(answers: Sequence[str]) -> list[str]:
    """JSON answers with the keys of each object in one order, mostly the most frequent: the order has no meaning.

    Objects at the same path of the answers share an order, also where some have optional fields.
    """
    trees = [parse_json(answer) for answer in answers]
    orders: dict[_Path, Counter[tuple[str, ...]]] = {}

    def count(node: Any, path: _Path) -> None:
        if isinstance(node, dict):
            orders.setdefault(path, Counter())[tuple(node)] += 1
            for key, child in node.items():
                count(child, (*path, key))
        elif isinstance(node, list):
            for child in node:
                count(child, (*path, None))

    def ordered(node: Any, path: _Path) -> Any:
        if isinstance(node, dict):
            return {key: ordered(node[key], (*path, key)) for key in sorted(node, key=ranks[path].__getitem__)}
        return [ordered(child, (*path, None)) for child in node] if isinstance(node, list) else node

    for tree in trees:
        count(tree, ())
    if all(len(key_orders) == 1 for key_orders in orders.values()):
        return list(answers)
    ranks = {path: _ranks(key_orders) for path, key_orders in orders.items()}
    return [msgspec.json.encode(ordered(tree, ())).decode() for tree in trees]


def _ranks(orders: Counter[tuple[str, ...]]) -> dict[str, int]:
    """Positions of all keys: each order, the most frequent first, adds its new keys behind the key before them."""
    following: dict[str | None, str | None] = {None: None}
    for keys in sorted(orders, key=lambda keys: (-orders[keys], keys)):
        previous: str | None = None
        for key in keys:
            if key not in following:
                following[key], following[previous] = following[previous], key
            previous = key
    ranks: dict[str, int] = {}
    ranked = following[None]
    while ranked is not None:
        ranks[ranked] = len(ranks)
        ranked = following[ranked]
    return ranks


def discover_checks(
    rows: Sequence[Row],
    templates: Sequence[Template],
    request_type: RequestType,
    entry: CallSite | None,
    config: ExtractConfig,
) -> TaskChecks:
    """Checks of the call site's entry if it has any, else checks discovered in the log.

    Requests with a choice of answers get its labels, other classifying tasks a label set. JSON objects get the schema
    of the requests if it hardly varies, else `json`; JSON lists of anything but labels must be lists.
    Other text has no checks except the one for refusals.
    """
    if entry is not None and entry.checks != Checks():
        return TaskChecks(entry.checks, "the call site's entry in callsites.yaml")
    if not config.discover_checks:
        return TaskChecks(Checks(), "off: discover_checks is false")
    if (choice := _choice(rows)) is not None:
        return TaskChecks(Checks(labels=choice), "the choice that the requests state")
    # Refusals are removed later; a frequent one is no label.
    answers = Counter(text for row in rows if not is_refusal(text := _plain(row.answer, config)))
    # Invalid JSON that begins like an object is not a label; the filters report what is wrong with it.
    object_like = sum(n for text, n in answers.items() if text.startswith("{"))
    objects = sum(n for text, n in answers.items() if _is_json(text, dict))
    if object_like > 0.5 * answers.total() and objects >= 0.5 * object_like:
        return _json_checks(rows, config)
    prompt = fixed_text(templates)
    single = label_set.discover(answers, prompt, config) if request_type in _CLOSED else label_set.LabelSet((), "")
    if not single.named:
        is_closed = request_type in _CLOSED or _mostly_lists(answers)
        sets = label_set.discover_set(list(answers.elements()), prompt, config, named=not is_closed)
        if sets is not None:
            form = "JSON lists" if sets.multiple == "json" else "separated by commas"
            return TaskChecks(sets, f"answers are sets of {len(sets.labels)} labels, {form}")
    if not single.labels and 2 * sum(n for text, n in answers.items() if _is_json(text, list)) > answers.total():
        return TaskChecks(Checks(json_schema={"type": "array"}), "answers are JSON lists")
    if request_type in _CLOSED:
        return TaskChecks(Checks(labels=single.labels), single.source)
    return TaskChecks(Checks(), "none: free text")


def _choice(rows: Sequence[Row]) -> tuple[str, ...] | None:
    """Labels to which the server restricts the answers, if nearly all requests state the same."""
    stated = Counter(map(_choice_of, rows))
    choice, count = stated.most_common(1)[0] if stated else (None, 0)
    return choice if count >= _SAME_FORM * len(rows) else None


def _choice_of(row: Row) -> tuple[str, ...] | None:
    """`guided_choice` or `structured_outputs.choice` of vLLM, in alphabetical order."""
    for parameters in (row.params.other, row.params.other.get("extra_body")):
        if isinstance(parameters, dict):
            outputs = parameters.get("structured_outputs")
            choice = outputs.get("choice") if isinstance(outputs, dict) else parameters.get("guided_choice")
            if isinstance(choice, list) and choice and all(isinstance(label, str) for label in choice):
                return tuple(sorted(set(choice)))
    return None


def _plain(text: str, config: ExtractConfig) -> str:
    return unfenced(text if config.reasoning == "keep" else without_reasoning(text))


def _mostly_lists(answers: Counter[str]) -> bool:
    return sum(n for text, n in answers.items() if text.startswith("[")) >= _MOSTLY * answers.total()


def fixed_text(templates: Sequence[Template]) -> str:
    """Fixed text of a call site's templates."""
    return "\n\n".join(part for t in templates for p in t.original for part in p.literals if part)


def _is_json(text: str, kind: type[dict[str, Any]] | type[list[Any]]) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        return isinstance(parse_json(text), kind)
    except ValueError:
        return False


def _json_checks(rows: Sequence[Row], config: ExtractConfig) -> TaskChecks:
    schemas: Counter[str] = Counter()
    for row in rows:
        schema = _schema(row.response_format)
        if schema is not None:
            schemas[msgspec.json.encode(schema).decode()] += 1
    if not schemas:
        return TaskChecks(Checks(json=True), "answers are JSON objects; no request states a schema")
    text, stated = schemas.most_common(1)[0]
    share = stated / schemas.total()
    if share < _SAME_FORM:
        return TaskChecks(
            Checks(json=True), f"answers are JSON objects; requests state {len(schemas)} different schemas"
        )
    checks = Checks(json=True, json_schema=msgspec.json.decode(text))
    # A schema that the answers do not satisfy does not describe the task, even if the requests state it.
    objects = [text for row in evenly(list(rows), _SAMPLE) if _is_json(text := _plain(row.answer, config), dict)]
    fitting = sum(not failed_checks(text, "stop", checks) for text in objects)
    sampled = len(objects)
    if fitting < _MOSTLY * sampled:
        return TaskChecks(
            Checks(json=True), f"answers are JSON objects; only {fitting} of {sampled} keep the stated schema"
        )
    return TaskChecks(checks, f"the JSON schema that {stated} of {len(rows)} requests state")


def _schema(response_format: str | None) -> dict[str, Any] | None:
    if response_format is None:
        return None
    stated = msgspec.json.decode(response_format)
    schema = stated.get("json_schema", {}).get("schema") if isinstance(stated, dict) else None
    return schema if isinstance(schema, dict) else None


def request_type_of(
    rows: Sequence[Row], entry: CallSite | None, config: ExtractConfig, by_rules: Counter[RequestType]
) -> RequestType:
    """The configured type, else that of the call site's entry, else the log's majority, else the rules' majority."""
    if config.request_type is not None:
        return config.request_type
    if entry is not None and entry.request_type is not None:
        return entry.request_type
    types: dict[str, RequestType] = {name: name for name in get_args(RequestType)}
    logged = Counter(types[row.request_type] for row in rows if row.request_type in types)
    type_counts = logged or by_rules
    # Ties are broken alphabetically, so that the same rows always give the same type.
    return min(type_counts, key=lambda name: (-type_counts[name], name))
