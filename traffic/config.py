"""Reads configuration: YAML files into frozen structs, with overrides by `--set key.path=value`.

Structs are declared `frozen=True, forbid_unknown_fields=True` with a default and a docstring per field. A wrong key or
type raises `ConfigError` with the file, the key and the expected type.
"""

import contextlib
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from traffic.errors import ConfigError, NotFound, known_names

T = TypeVar("T")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]+)`")

_NONE: Mapping[str, str] = {}

MAX_C_NESTING = 400
_INDENT = re.compile(r"^[ ?-]+", re.MULTILINE)

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
"""Shipped configuration; the project runs from a clone (`pip install -e .`)."""


_PLAIN = {
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    "int": (re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]*|[-+]?[1-9][0-9_]*|[-+]?0x[0-9a-fA-F_]+)$"), "-+0123456789"),
}


def _of_yaml_1_2(base: Any) -> Any:
    """A loader with the scalars of YAML 1.2: yes, no, on and off are strings, and 12:30 is not a number."""
    loader = type("Loader", (base,), {})
    loader.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
        first: [pair for pair in resolvers if pair[0].rpartition(":")[2] not in _PLAIN]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    for name, (pattern, first) in _PLAIN.items():
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", pattern, list(first))  # type: ignore[attr-defined]
    return loader


_LOADER = _of_yaml_1_2(yaml.SafeLoader)
_FAST_LOADER = _of_yaml_1_2(getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}
_NOT_TEXT = re.compile(r"Expected `str(?: \| null)?`, got `(?:bool|int|float|date|datetime|null)`")


def load(path: Path, type_: type[T], overrides: Sequence[str] = (), *, renamed: Mapping[str, str] = _NONE) -> T:
    """The YAML file at `path` as `type_`, after applying overrides such as `lora.rank=8`.

    `renamed`: top-level keys of earlier schema versions, with their current names.
    Raises: NotFound if there is no such file, ConfigError for any error in it.
    """
    tree = read(path, overrides)
    if isinstance(tree, dict):
        tree = {renamed.get(key, key): value for key, value in tree.items()}
    return convert(tree, type_, source=str(path))


def read(path: Path, overrides: Sequence[str] = ()) -> Any:
    """Parsed YAML of a file with the overrides applied; an empty file is an empty mapping.

    Raises: NotFound, ConfigError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"no configuration file {path}{_nearby(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        tree = parse(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except (ValueError, RecursionError) as error:
        # PyYAML raises these for `2026-02-30`, `0x_`, and thousands of nested brackets.
        raise ConfigError(f"{path}: a value cannot be read: {error}") from None
    tree = {} if tree is None else tree
    for override in overrides:
        _apply(tree, override)
    return tree


def parse(text: str) -> Any:
    """Parse a YAML text, with libyaml if it is installed (nine times as fast)."""
    # libyaml's binding recurses in C and would crash the process on deeper nesting.
    brackets = text.count("[") + text.count("{")
    indent = max(map(len, _INDENT.findall(text)), default=0)
    loader = _FAST_LOADER if brackets + indent < MAX_C_NESTING else _LOADER
    return yaml.load(text, loader)  # noqa: S506 -- both loaders are safe ones


def convert(tree: Any, type_: type[T], *, source: str) -> T:
    """A parsed tree as `type_`. Raises: ConfigError naming `source` and the key."""
    try:
        return msgspec.convert(tree, type_, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        problem = str(error)
    if problem.startswith("Expected `bool"):
        # Accept YAML 1.1's yes, no, on and off for a boolean.
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(_switched(tree), type_, strict=False)
        problem += "; write true or false"
    if _NOT_TEXT.search(problem):
        problem += "; put it in quotes, so that YAML reads a string"
    raise ConfigError(f"{source}: {problem}{_nearest_key(problem, type_)}")


def _switched(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _switched(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_switched(value) for value in tree]
    return _SWITCHES.get(tree.lower(), tree) if isinstance(tree, str) else tree


def dump(value: Any) -> str:
    """`value` (a struct) as YAML text, with keys in the order of its fields."""
    tree = msgspec.to_builtins(value, str_keys=True)
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    if any(separator in text for separator in "\x85\u2028\u2029"):
        # PyYAML does not escape these line separators, and reads them back as line ends.
        text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=100)
    return text


def _apply(tree: Any, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as key.path=value")
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override}: {parent} is not a section")
        node = node.setdefault(parent, {})
    if not isinstance(node, dict):
        raise ConfigError(f"--set {override}: {'.'.join(parents)} is not a section")
    try:
        node[last] = parse(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {override}: the value is not valid YAML") from None


def _nearest_key(message: str, type_: Any) -> str:
    """A suggestion for an unknown key, from all keys of the configuration."""
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown is None:
        return ""
    close = difflib.get_close_matches(unknown.group(1), sorted(_keys(msgspec.inspect.type_info(type_))), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _keys(info: msgspec.inspect.Type) -> set[str]:
    """Names of all fields of the structs within a type."""
    names: set[str] = set()
    waiting, seen = [info], set[type]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.StructType) and node.cls not in seen:
            seen.add(node.cls)
            names.update(field.encode_name for field in node.fields)
            waiting += [field.type for field in node.fields]
        elif isinstance(node, msgspec.inspect.UnionType):
            waiting += node.types
        elif isinstance(node, msgspec.inspect.DictType):
            waiting.append(node.value_type)
        elif isinstance(node, msgspec.inspect.CollectionType):
            waiting.append(node.item_type)
        elif isinstance(node, msgspec.inspect.TupleType):
            waiting += node.item_types
    return names


def _nearby(path: Path) -> str:
    names = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return known_names(path.name, names)
