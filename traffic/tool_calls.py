"""Tool calls put together from the pieces that a stream brings, one reading for the request log and every translation.

Servers number calls, name them and cut their arguments in different ways, and leave out indexes and ids.
"""

import secrets
from typing import Any

import msgspec

from traffic.loose_json import Tree, dumped, index, is_object, text, tree


class ToolCall(msgspec.Struct, eq=False):
    """One tool call while it is assembled."""

    position: int
    """Which of the answer's calls it is, from 0."""
    id: str = ""
    name: str = ""
    arguments: str = ""
    index: int | None = None
    """What the server says the position is."""
    stated_id: str | None = None
    extra: Tree = {}
    """Other keys of the call, such as Gemini's `extra_content`."""

    def as_tree(self) -> Tree:
        """In OpenAI's form."""
        return self.extra | tool_call(self.id, self.name, self.arguments or "{}")


def tool_call(identity: str, name: str, arguments: str) -> Tree:
    """In OpenAI's form."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def made_id() -> str:
    """For a tool call whose server gave it none."""
    return f"call_{secrets.token_hex(12)}"


def arguments_of(value: Any) -> str:
    """A tool call's arguments as text: some servers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else dumped(value)


class ToolCalls:
    """Assembles tool calls from the pieces that a stream brings.

    A piece belongs to the call of its id, else to the last call of its index, else to the last call. Names are set,
    never appended. An id that was not seen before begins another call where the piece also has a name; so does a name
    where the call before is complete, because servers leave out index and id.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    def add(self, part: Tree, *, whole: bool = False) -> tuple[ToolCall, str]:
        """The call that a piece belongs to, and the arguments that it adds; `whole`: the piece is a call of its own."""
        function = tree(part.get("function")) or tree(part.get("custom"))
        name = text(function.get("name"))
        more = arguments_of(function.get("arguments", function.get("input")))
        stated, place = _identity(part.get("id")), index(part.get("index"))
        call = None if whole else self._existing(stated, place, name, more)
        if call is None:
            identity = stated or made_id()
            if any(call.id == identity for call in self.calls):
                identity = f"{identity}_{len(self.calls)}"
            call = ToolCall(len(self.calls), identity, index=place, stated_id=stated or None)
            self.calls.append(call)
        call.name = name or call.name
        extra = {key: value for key, value in part.items() if key not in _CALL_KEYS and value is not None}
        if extra:
            call.extra = call.extra | extra
        call.arguments += more
        return call, more

    def _existing(self, stated: str, place: int | None, name: str, more: str) -> ToolCall | None:
        for call in reversed(self.calls):
            # The same id at another index: one call whose pieces are numbered anew, or a server with one id for all.
            if stated and call.stated_id == stated and not (name and _differ(place, call.index)):
                return call
        if place is not None:
            call_of_place = next((call for call in reversed(self.calls) if call.index == place), None)
        else:
            call_of_place = self.calls[-1] if self.calls else None
        if call_of_place is None:
            return None
        if stated and call_of_place.stated_id is not None:
            # Another id: another call, unless the server makes a new id for every piece.
            return None if name else call_of_place
        if name and call_of_place.name and _is_another(call_of_place, name, more, place):
            return None
        if stated:
            call_of_place.stated_id = stated
        return call_of_place

    def as_trees(self) -> list[Tree]:
        return [call.as_tree() for call in self.calls]


def _identity(value: Any) -> str:
    """Of a tool call: some servers number them."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _differ(place: int | None, other: int | None) -> bool:
    return place is not None and other is not None and place != other


def _is_another(call: ToolCall, name: str, more: str, place: int | None) -> bool:
    """Whether a piece with a name begins another call although neither id nor index tells it from this one."""
    if is_object(call.arguments):
        return bool(more) or name != call.name
    return place is None and name != call.name


_CALL_KEYS = frozenset({"id", "index", "type", "function", "custom"})
