"""Configuration: YAML files into frozen structs, with `--set key.path=value` on top.

Structs are declared `frozen=True, forbid_unknown_fields=True`, each field with its default and its
meaning; a wrong key or type is one `ConfigError` with the file, the key and what was expected.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from traffic.errors import ConfigError, NotFound

T = TypeVar("T")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]+)`")

_NONE: Mapping[str, str] = {}

MAX_C_NESTING = 400
_INDENT = re.compile(r"^[ ?-]+", re.MULTILINE)
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
"""The configuration that ships with the project (it runs from a clone, `pip install -e .`)."""


def load(path: Path, type_: type[T], overrides: Sequence[str] = (), *, renamed: Mapping[str, str] = _NONE) -> T:
    """The YAML file at `path` as `type_`, after applying overrides such as `lora.rank=8`.

    `renamed`: top-level keys of earlier schema versions with their names of today.
    Raises: NotFound if there is no such file, ConfigError for everything that is wrong in it.
    """
    tree = read(path, overrides)
    if isinstance(tree, dict):
        tree = {renamed.get(key, key): value for key, value in tree.items()}
    return convert(tree, type_, source=str(path))


def read(path: Path, overrides: Sequence[str] = ()) -> Any:
    """The tree of a YAML file with the overrides applied; an empty file is an empty mapping.

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
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except (ValueError, RecursionError) as error:
        # PyYAML on `2026-02-30`, on `0x_`, and on thousands of brackets.
        raise ConfigError(f"{path}: a value cannot be read: {error}") from None
    tree = {} if tree is None else tree
    for override in overrides:
        _apply(tree, override)
    return tree


def parse(text: str) -> Any:
    """`yaml.safe_load`, by libyaml where it is installed, which is nine times as fast."""
    # libyaml's binding recurses in C: a text that may nest deeper than this would end the process.
    brackets = text.count("[") + text.count("{")
    indent = max(map(len, _INDENT.findall(text)), default=0)
    loader = _FAST_LOADER if brackets + indent < MAX_C_NESTING else yaml.SafeLoader
    return yaml.load(text, loader)  # noqa: S506 -- both loaders are safe ones


def convert(tree: Any, type_: type[T], *, source: str) -> T:
    """A parsed tree as `type_`. Raises: ConfigError naming `source` and the key."""
    try:
        return msgspec.convert(tree, type_, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"{source}: {error}{_nearest_key(str(error), type_)}") from None


def dump(value: Any) -> str:
    """`value` (a struct) as YAML text, keys in the order of the struct."""
    tree = msgspec.to_builtins(value, str_keys=True)
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    if any(separator in text for separator in "\x85\u2028\u2029"):
        # PyYAML writes these line separators as they are and reads them back as line ends.
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
    """A suggestion for a key that msgspec did not know, from all keys that the configuration has."""
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown is None:
        return ""
    close = difflib.get_close_matches(unknown.group(1), sorted(_keys(msgspec.inspect.type_info(type_))), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _keys(info: msgspec.inspect.Type) -> set[str]:
    """Names of all fields of the structs within a type."""
    found: set[str] = set()
    waiting, seen = [info], set[type]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.StructType) and node.cls not in seen:
            seen.add(node.cls)
            found.update(field.encode_name for field in node.fields)
            waiting += [field.type for field in node.fields]
        elif isinstance(node, msgspec.inspect.UnionType):
            waiting += node.types
        elif isinstance(node, msgspec.inspect.DictType):
            waiting.append(node.value_type)
        elif isinstance(node, msgspec.inspect.CollectionType):
            waiting.append(node.item_type)
        elif isinstance(node, msgspec.inspect.TupleType):
            waiting += node.item_types
    return found


def _nearby(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"; did you mean {path.parent / close[0]}?"
    return f"; there are: {', '.join(sorted(names))}" if names else ""
