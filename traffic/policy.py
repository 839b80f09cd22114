"""Chooses the tier of a request by rules from YAML; the first matching rule applies. Pure, and never a model.

    rules:
      - name: closed labels
        reason: a small model chooses one label of a stated list as well
        tier: 1
        when:
          all:
            - request_type: [classification, intent, moderation]
            - user_chars: {le: 8000}

A condition names fields of `traffic.features.Features`, or `request_type` or `call_site`; several in one
mapping must all hold. A plain value is `eq`, a list is `in`. A rule has a tier, or a `refuse` message.
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter, eq
from pathlib import Path
from typing import Any, get_args

import msgspec

from traffic import config
from traffic.callsites import CallSite, RequestType
from traffic.errors import ConfigError, known_names
from traffic.features import FIELDS, Features

TIERS = (1, 2, 3)

Test = Callable[[Features, str, str], bool]
"""Takes features, request type and call site (empty where unknown)."""

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "in": lambda value, operand: value in operand,
    "lt": lambda value, operand: value is not None and value < operand,
    "le": lambda value, operand: value is not None and value <= operand,
    "gt": lambda value, operand: value is not None and value > operand,
    "ge": lambda value, operand: value is not None and value >= operand,
    "regex": lambda value, operand: operand.search(value) is not None,
}
_TEXT_FIELDS = ("request_type", "call_site", "tool_choice", "instruction")
_BOOLEAN_FIELDS = tuple(name for name, kind in FIELDS.items() if kind is bool)
_FIELDS = (*FIELDS, "request_type", "call_site")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: a condition and the tier or refusal that it leads to."""

    name: str
    reason: str
    """Reason for the request log and for the error message of a refused client."""
    when: dict[str, Any]
    tier: int | None = None
    refuse: str | None = None
    """Error message that refuses the request, instead of a tier."""

    def __post_init__(self) -> None:
        if (self.tier is None) == (self.refuse is None):
            raise ValueError(f"rule {self.name!r}: give it either a tier or a refuse message")
        if self.tier is not None and self.tier not in TIERS:
            raise ValueError(
                f"rule {self.name!r}: tier {self.tier} does not exist; there are exactly three tiers (1 own model, "
                "2 standard, 3 heavy)"
            )
        _compile(self.when, f"rule {self.name!r}")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The section `rules` of `configs/router.yaml`."""

    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"duplicate rule name {duplicates[0]!r}")

    @cached_property
    def compiled(self) -> tuple[tuple["Verdict", Test], ...]:
        """Each rule's verdict and compiled condition."""
        return tuple(
            (
                Verdict(rule.tier or DEFAULT.tier, rule.name, rule.reason, rule.refuse),
                _compile(rule.when, f"rule {rule.name!r}"),
            )
            for rule in self.rules
        )

    @cached_property
    def compiled_by_type(self) -> dict[str, tuple[tuple["Verdict", Test], ...]]:
        """The rules of `compiled` that can hold for a request type, by request type."""
        request_types = [_request_types(rule.when) for rule in self.rules]
        return {
            kind: tuple(
                rule for rule, kinds in zip(self.compiled, request_types, strict=True) if kinds is None or kind in kinds
            )
            for kind in get_args(RequestType)
        }


class Verdict(msgspec.Struct, frozen=True):
    """Tier chosen by the rules for one request."""

    tier: int
    rule: str
    """Name of the rule; `call site` for a tier set in the registry, `default` without a matching rule."""
    reason: str
    refuse: str | None = None
    """Set when the request must not be sent to any model; the message for the client."""


DEFAULT = Verdict(2, "default", "no rule matches: the standard tier")


def decide(
    policy: Policy,
    features: Features,
    request_type: str,
    call_site_entry: CallSite | None,
    *,
    call_site: str | None = None,
) -> Verdict:
    """The tier of a request.

    A tier in the registry overrides the tiers of all rules; refusals still apply. `call_site`: the name of a call site
    without an entry.
    """
    name = call_site_entry.name if call_site_entry is not None else call_site or ""
    stated = call_site_entry.tier if call_site_entry is not None else None
    for verdict, holds in policy.compiled_by_type.get(request_type, policy.compiled):
        if (stated is None or verdict.refuse is not None) and holds(features, request_type, name):
            return verdict
    if stated is not None:
        return Verdict(stated, "call site", f"the registry puts call site {name} on tier {stated}")
    return DEFAULT


def _request_types(condition: Mapping[str, Any]) -> list[str] | None:
    """The request types for which a rule's condition can hold; None: any."""
    kinds = condition.get("request_type")
    if kinds is None:
        return next((kinds for item in condition.get("all", ()) if (kinds := _request_types(item)) is not None), None)
    return kinds if isinstance(kinds, list) else [kinds] if isinstance(kinds, str) else None


def first_failing(condition: Mapping[str, Any], features: Features, request_type: str, call_site: str) -> str | None:
    """Description of the first part of a rule's condition that does not hold; None if all parts hold."""
    for key, value in condition.items():
        if _compile_key(key, value, "rule")(features, request_type, call_site):
            continue
        if key == "all":
            parts = (first_failing(item, features, request_type, call_site) for item in value)
            return next(part for part in parts if part is not None)
        if key == "any":
            parts = (first_failing(item, features, request_type, call_site) for item in value)
            return "none of these holds: " + "; ".join(part for part in parts if part is not None)
        if key == "not":
            return f"it must not be that {_description(value)}"
        actual = {"request_type": request_type, "call_site": call_site}.get(key, getattr(features, key, None))
        return f"{key} is {_value_text(actual)}, not {_condition_text(value)}"
    return None


def fields_of(condition: Any) -> list[str]:
    """Names of the fields in a condition, in order."""
    if isinstance(condition, list):
        return [name for item in condition for name in fields_of(item)]
    fields: list[str] = []
    for key, value in condition.items():
        fields += fields_of(value) if key in ("all", "any", "not") else [key]
    return fields


def _description(condition: Any) -> str:
    if isinstance(condition, list):
        return " / ".join(_description(item) for item in condition)
    return " and ".join(
        f"({_description(value)})" if key in ("all", "any", "not") else f"{key} is {_condition_text(value)}"
        for key, value in condition.items()
    )


def _condition_text(value: Any) -> str:
    signs = {"eq": "", "in": "one of ", "lt": "below ", "le": "at most ", "gt": "above ", "ge": "at least "}
    if isinstance(value, Mapping):
        return " and ".join(f"{signs.get(op, f'{op} ')}{_value_text(operand)}" for op, operand in value.items())
    return f"one of {', '.join(map(_value_text, value))}" if isinstance(value, list) else _value_text(value)


def _value_text(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


def load(path: Path) -> Policy:
    """The `rules` of a router configuration. Raises: NotFound, ConfigError."""
    tree = config.load(path, dict[str, Any])
    if "rules" not in tree:
        raise ConfigError(f"{path}: has no section `rules`")
    return config.convert({"rules": tree["rules"]}, Policy, source=str(path))


def _compile(condition: Any, location: str) -> Test:
    """Compiles a condition to one function. Raises: ValueError with the location of the fault."""
    if not isinstance(condition, Mapping) or not condition:
        raise ValueError(f"{location}: a condition is a mapping such as `request_type: chat`, not {condition!r}")
    tests = tuple(_compile_key(key, value, location) for key, value in condition.items())
    return tests[0] if len(tests) == 1 else _all(tests)


def _compile_key(key: Any, value: Any, location: str) -> Test:
    if key in ("all", "any"):
        if not isinstance(value, list) or not value:
            raise ValueError(f"{location}: `{key}` takes a list of conditions")
        inner = tuple(_compile(item, location) for item in value)
        return _all(inner) if key == "all" else _any(inner)
    if key == "not":
        negated = _compile(value, location)
        return lambda f, t, c: not negated(f, t, c)
    if key not in _FIELDS:
        raise ValueError(f"{location}: no field {key!r}{known_names(str(key), _FIELDS)}")
    comparisons = value if isinstance(value, Mapping) else {"in" if isinstance(value, list) else "eq": value}
    if not comparisons:
        raise ValueError(f"{location}: {key}: nothing to compare with")
    return _all(tuple(_compare(key, operator, operand, location) for operator, operand in comparisons.items()))


def _compare(field: str, operator: Any, operand: Any, location: str) -> Test:
    if operator not in _OPERATORS:
        raise ValueError(f"{location}: {field}: no operator {operator!r}{known_names(str(operator), _OPERATORS)}")
    values = operand if operator == "in" else [operand]
    if operator == "in" and (not isinstance(operand, list) or not operand):
        raise ValueError(f"{location}: {field}: `in` takes a list")
    kind, fits = _kind(field)
    for value in values:
        if not fits(value) or (operator in ("lt", "le", "gt", "ge") and kind != "a number"):
            raise ValueError(f"{location}: {field} is {kind}: {operator} {value!r} can never hold")
    if operator == "regex":
        if kind != "text":
            raise ValueError(f"{location}: {field} is {kind}, `regex` works on text")
        try:
            operand = re.compile(operand)
        except re.error as error:
            raise ValueError(f"{location}: {field}: {operand!r} is no regular expression: {error}") from None
    compare = _OPERATORS[operator]
    if field == "request_type" and operator == "in":
        return lambda f, t, c: t in operand
    if field == "request_type":
        return lambda f, t, c: compare(t, operand)
    if field == "call_site":
        return lambda f, t, c: compare(c, operand)
    value_of = attrgetter(field)
    if operator == "eq" and operand is True:
        return lambda f, t, c: value_of(f)
    return lambda f, t, c: compare(value_of(f), operand)


def _kind(field: str) -> tuple[str, Callable[[Any], bool]]:
    if field in _TEXT_FIELDS:
        return "text", lambda value: isinstance(value, str)
    if field in _BOOLEAN_FIELDS:
        return "true or false", lambda value: isinstance(value, bool)
    return "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)


def _all(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def all_hold(f: Features, t: str, c: str) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if not test(f, t, c):
                return False
        return True

    return all_hold


def _any(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def any_holds(f: Features, t: str, c: str) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if test(f, t, c):
                return True
        return False

    return any_holds
