"""Assembles tool calls from the chunks of a stream, for the request log and for all protocol translations.

Servers differ in how they number calls, repeat names and split arguments, and some omit indexes and ids.
"""

import re
import secrets
from typing import Any

import msgspec

from traffic.loose_json import NotJson, Tree, dumped, first_object, index, is_object, loads, text, tree

EMPTY = "{}"
"""Arguments of a call without any."""
MAX_DOUBTS = 8
"""How often a call's arguments are parsed to see whether they are complete."""
_OBJECT = re.compile(r"\s*\{")


class ToolCall(msgspec.Struct, eq=False):
    """One tool call during assembly."""

    position: int
    """Position among the answer's calls, from 0."""
    id: str = ""
    name: str = ""
    arguments: str = ""
    index: int | None = None
    """Position as stated by the server."""
    stated_id: str | None = None
    extra: Tree = {}
    """Other keys of the call, such as Gemini's `extra_content`."""
    held_back: bool = False
    """The arguments are an empty object that `add` did not return, because the real ones may follow."""
    complete: bool = False
    """Nothing can be added to the arguments."""
    doubts: int = 0
    """How often the arguments looked complete and were not."""

    def add(self, arguments: str) -> str:
        """Add a chunk of arguments; returns what belongs to them.

        Some servers send the arguments once more as a whole, or an empty object before them (Gemini). An empty object
        is therefore added but not returned.
        """
        if arguments.startswith("{") and self.arguments.endswith("}"):
            if self.held_back:
                self.arguments = ""
            elif self.doubts < MAX_DOUBTS:
                self.doubts += 1
                self.complete = is_object(self.arguments)
        if self.complete:
            return ""
        self.held_back = arguments == EMPTY and not self.arguments
        self.arguments += arguments
        return "" if self.held_back else arguments

    def as_tree(self) -> Tree:
        """The call in OpenAI's format."""
        return self.extra | tool_call(self.id, self.name, self.arguments or "{}")


def tool_call(identity: str, name: str, arguments: str) -> Tree:
    """A call in OpenAI's format."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def new_id() -> str:
    """A random id for a tool call without one."""
    return f"call_{secrets.token_hex(12)}"


def arguments_of(value: Any) -> str:
    """A tool call's arguments as JSON text; some servers send an object instead."""
    if isinstance(value, str):
        return value
    return "" if value is None else dumped(value)


def arguments_tree(arguments: Any) -> Tree:
    """Arguments as the object that some protocols require; other text of the model is kept inside an object."""
    written = arguments_of(arguments)
    if not written.strip():
        return {}
    try:
        value = loads(written.encode("utf-8", "replace"))
    except (NotJson, RecursionError):
        return _last_object(written) or {"arguments": written}
    if isinstance(value, str) and is_object(value):
        # JSON encoded twice.
        return tree(loads(value.encode()))
    return value if isinstance(value, dict) else {} if value is None else {"arguments": value}


def _last_object(written: str) -> Tree:
    """The last of several objects in a row that is not empty, because some servers send the arguments once more, or an
    empty object beside them; empty if there is other text."""
    result, position = Tree(), 0
    while (match := _OBJECT.match(written, position)) and (first := first_object(written, match.end() - 1)):
        value, position = first
        result = value or result
    return {} if written[position:].strip() else result


class ToolCalls:
    """Assembles tool calls from the chunks of a stream.

    A chunk belongs to the call with its id, else to the last call with its index, else to the last call. Names are set,
    never appended. A chunk begins a new call if it has a new id and a name, or a name after a complete call, because
    servers may omit index and id.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._ids: set[str] = set()
        self._by_stated_id: dict[str, list[ToolCall]] = {}
        self._by_index: dict[int, ToolCall] = {}
        """The last call with an index."""

    def add(self, part: Tree, *, whole: bool = False) -> tuple[ToolCall, str]:
        """Add a chunk; returns its call and the arguments it adds. `whole`: the chunk is a complete call."""
        function = tree(part.get("function")) or tree(part.get("custom"))
        name = text(function.get("name"))
        arguments = arguments_of(function.get("arguments", function.get("input")))
        stated_id, position = _identity(part.get("id")), index(part.get("index"))
        call = None if whole else self._existing(stated_id, position, name, arguments)
        if call is None:
            identity = stated_id or new_id()
            if identity in self._ids:
                identity = f"{identity}_{len(self.calls)}"
            call = ToolCall(len(self.calls), identity, index=position)
            self.calls.append(call)
            self._ids.add(identity)
            if position is not None:
                self._by_index[position] = call
            self._state_id(call, stated_id)
        call.name = name or call.name
        extra = {key: value for key, value in part.items() if key not in _CALL_KEYS and value is not None}
        if extra:
            call.extra = call.extra | extra
        if whole:
            call.arguments = arguments
            return call, arguments
        return call, call.add(arguments)

    def _existing(self, stated_id: str, position: int | None, name: str, arguments: str) -> ToolCall | None:
        for call in reversed(self._by_stated_id.get(stated_id, ())):
            # The same id with another index: a call whose chunks are renumbered, or a server that reuses one id.
            if not (name and _differ(position, call.index)):
                return call
        if position is not None:
            candidate = self._by_index.get(position)
        else:
            candidate = self.calls[-1] if self.calls else None
        if candidate is None:
            return self._continued(stated_id, name, arguments)
        if stated_id and candidate.stated_id is not None:
            # Another id: another call, unless the server generates a new id for every chunk.
            return None if name else candidate
        if name and candidate.name and _is_another(candidate, name, arguments, position):
            return None
        self._state_id(candidate, stated_id)
        return candidate

    def _continued(self, stated_id: str, name: str, arguments: str) -> ToolCall | None:
        """The last call, if a chunk without a name or an id of its own goes on with its arguments: some servers state
        another index in each chunk."""
        last = self.calls[-1] if self.calls else None
        if last is None or stated_id or name or not arguments or is_object(last.arguments):
            return None
        return last

    def _state_id(self, call: ToolCall, stated_id: str) -> None:
        if stated_id:
            call.stated_id = stated_id
            self._by_stated_id.setdefault(stated_id, []).append(call)

    def as_trees(self) -> list[Tree]:
        return [call.as_tree() for call in self.calls]


def _identity(value: Any) -> str:
    """A tool call's id as text; some servers send numbers."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _differ(position: int | None, other_position: int | None) -> bool:
    return position is not None and other_position is not None and position != other_position


def _is_another(call: ToolCall, name: str, arguments: str, position: int | None) -> bool:
    """Whether a chunk with a name begins another call, although id and index do not differ from this one's."""
    if is_object(call.arguments):
        return bool(arguments) or name != call.name
    return position is None and name != call.name


_CALL_KEYS = frozenset({"id", "index", "type", "function", "custom"})
