"""Custom logs, read with a mapping of the places of prompt, answer, time and so on (`record:` in its YAML file).

    fasttier ingest LOG --config MAPPING.yaml      # `fasttier ingest --suggest LOG` proposes one

Shipped mappings (configs/log_mappings/) are formats, recognised by the places in `recognised_by`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from pipeline.ingest import envelope, time_formats
from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.messages import begins_like_messages
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import (
    PASSED_ON,
    PASSES_TO,
    Companions,
    Draft,
    Format,
    LineReader,
    NotARequest,
    Part,
    draft_reader,
)
from pipeline.ingest.mapping import Places, RecordPlaces, TagMapping
from pipeline.ingest.typed_values import untyped
from pipeline.ingest.values import (
    Notes,
    amount,
    count,
    elapsed_ms,
    flag,
    opened_payload,
    opened_value,
    text,
)
from traffic import config
from traffic.errors import ConfigError

Finder = Callable[[Mapping[str, Any]], Any]


def finder(places: Places) -> Finder:
    """The first value at these places that is not null. Raises: ConfigError for an invalid JSONPath."""
    looks = [_json_path(place) if place.startswith("$") else _dotted(place) for place in places]

    def find(tree: Mapping[str, Any]) -> Any:
        value = next((value for look in looks if (value := look(tree)) is not None), None)
        # A value with its type, of a database export.
        return _untyped(value) if type(value) is dict and len(value) == 1 else value

    return find


def _untyped(value: dict[str, Any]) -> Any:
    plain = untyped({"value": value})
    return value if plain is None else plain["value"]


def _dotted(place: str) -> Finder:
    keys = place.replace("[", ".").replace("]", "").split(".")

    def look(tree: Mapping[str, Any]) -> Any:
        node: Any = tree
        for position, key in enumerate(keys):
            node = opened_value(node)
            if isinstance(node, Mapping):
                # A key may contain dots.
                rest = ".".join(keys[position:])
                if rest in node:
                    return node[rest]
                node = node.get(key)
            elif isinstance(node, list) and key.lstrip("-").isdecimal() and -len(node) <= int(key) < len(node):
                node = node[int(key)]
            else:
                return None
        return node

    return look


def _json_path(place: str) -> Finder:
    from jsonpath_ng.ext.parser import parse

    try:
        expression = parse(place)
    except Exception as error:  # noqa: BLE001 - the parser raises bare Exceptions
        raise ConfigError(f"{place}: not a JSONPath: {error}") from None

    def look(tree: Mapping[str, Any]) -> Any:
        return next((match.value for match in expression.find(tree) if match.value is not None), None)

    return look


class _Reader:
    """A compiled `RecordPlaces`."""

    def __init__(self, places: RecordPlaces) -> None:
        self._places = places
        self._find: dict[str, Finder] = {
            name: finder(value)
            for name in RecordPlaces.__struct_fields__
            if isinstance(value := getattr(places, name), tuple) and value
        }
        self._only = [(place, finder((place,)), values) for place, values in places.only.items()]
        self._has = [finder((place,)) for place in places.has]
        self._is_conversation = not places.answer and not places.response
        """Whether the last of the messages is the answer."""

    def other_kind(self, row: Mapping[str, Any]) -> str | None:
        """Reason the row is not a request, or None."""
        if self._has and not any(find(row) for find in self._has):
            return f"no {self._places.has[0]}"
        return next(
            (f"{place} {value}" for place, find, only in self._only if str(value := find(row)) not in only), None
        )

    def place(self, name: str, row: Mapping[str, Any]) -> Any:
        """The value of a field; None if missing from row or mapping."""
        return self._find[name](row) if name in self._find else None

    def read(self, row: dict[str, Any], notes: Notes) -> Draft:
        if (other := self.other_kind(row)) is not None or row.get(_AROUND):
            raise NotARequest(other or "request around others")
        fields = {name: find(row) for name, find in self._find.items()}
        if self._places.time_format is not None:
            fields |= {name: self._time(fields.get(name)) for name in ("time", "end")}
        get = fields.get
        prompt, answer = self._prompt(fields, notes), self._answer(fields, notes)
        if prompt is not None and self._is_conversation and prompt.messages[-1].get("role") == "assistant":
            answer = read_answer(prompt.messages.pop(), notes)
        error = get("error")
        latency_ms = _duration("latency", fields, notes)
        if latency_ms is None:
            latency_ms = elapsed_ms(get("time"), get("end"), "end", notes)
        return Draft(
            id=get("id"),
            ts=get("time") or envelope.inherited_time(row),
            prompt=prompt,
            answer=answer,
            model=text(get("model"), "model", notes),
            provider=text(get("provider"), "provider", notes),
            endpoint=text(get("endpoint"), "endpoint", notes),
            status=count(get("status"), "status", notes),
            error=text(
                msgspec.json.encode(error).decode() if isinstance(error, dict | list) else error, "error", notes
            ),
            usage=self._usage(fields, notes),
            cost_usd=get("cost_usd"),
            latency_ms=latency_ms,
            ttft_ms=_duration("ttft", fields, notes),
            cache_hit=get("cache_hit"),
            trace_id=get("trace_id"),
        )

    def _time(self, value: Any) -> str | None:
        """The time in the mapping's format. Raises: ValueError."""
        form = self._places.time_format
        return None if form is None or value in (None, "") else time_formats.parse(value, form).isoformat()

    def _prompt(self, fields: Mapping[str, Any], notes: Notes) -> Prompt | None:
        parameters = opened_value(fields.get("parameters"))
        request: dict[str, Any] = dict(parameters) if isinstance(parameters, Mapping) else {}
        request |= {key: fields[key] for key in ("system", "tools", "response_format") if fields.get(key) is not None}
        whole = opened_value(opened_payload(fields.get("request")))
        if whole is not None:
            return read_prompt(whole, notes, parameters=request)
        messages = opened_value(fields.get("messages"))
        if isinstance(messages, str) and begins_like_messages(messages):
            raise Unreadable("cut_text", "messages: truncated JSON; raise the logger's limit on lengths")
        if isinstance(messages, Mapping) and "messages" in messages:
            request = {**messages, **request}
            messages = messages["messages"]
        if messages is None and fields.get("prompt") is not None:
            prompt = fields["prompt"]
            prompt_text = prompt if isinstance(prompt, str) else msgspec.json.encode(prompt).decode()
            messages = [{"role": "user", "content": prompt_text}]
        return None if messages in (None, [], "") else read_prompt({**request, "messages": messages}, notes)

    def _answer(self, fields: Mapping[str, Any], notes: Notes) -> Answer | None:
        given = opened_payload(fields.get("response"))
        if given is not None:
            answer = read_answer(given, notes)
        else:
            answer = self._bare_answer(fields.get("answer"), notes)
        if answer is not None and answer.finish_reason is None:
            answer.finish_reason = finish_reason(fields.get("finish_reason"), notes)
        return answer

    def _bare_answer(self, given: Any, notes: Notes) -> Answer | None:
        if isinstance(given, bool | int | float):
            return Answer(text=str(given).lower() if isinstance(given, bool) else str(given))
        try:
            return read_answer(given, notes)
        except Unreadable as error:
            if error.reason != "unknown_answer":
                raise
            # The mapping says that this is the answer: an object is one in JSON.
            return Answer(text=msgspec.json.encode(given).decode())

    def _usage(self, fields: Mapping[str, Any], notes: Notes) -> Any:
        if fields.get("usage") is not None:
            return read_usage(opened_value(fields["usage"]), notes)
        prompt, output, read, written, reasoning = (count(fields.get(name), name, notes) for name in _COUNTS)
        if prompt is None and output is None:
            return None
        beside = flag(fields.get("cached_beside_input"), "cached_beside_input", notes)
        if self._places.cached_inside_input if beside is None else not beside:
            details = {"cached_tokens": read or 0, "cache_write_tokens": written or 0}
            counts: dict[str, Any] = {"prompt_tokens": prompt, "prompt_tokens_details": details}
        else:
            cached = {"cache_read_input_tokens": read or 0, "cache_creation_input_tokens": written or 0}
            counts = {"input_tokens": prompt, **cached}
        return read_usage({**counts, "completion_tokens": output, "reasoning_tokens": reasoning or 0}, notes)


_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def _duration(name: str, fields: Mapping[str, Any], notes: Notes) -> float | None:
    """Milliseconds, from the unit in which the log states them."""
    for unit, factor in (("ms", 1.0), ("s", 1e3), ("ns", 1e-6)):
        field = f"{name}_{unit}"
        if (read := amount(fields.get(field), field, notes)) is not None:
            return read * factor
    return None


def _reader(mapping: TagMapping, name: str = "mapped") -> LineReader:
    if mapping.record is None:
        raise ConfigError("the mapping has no `record` section: say where messages, answer and time stand")
    return draft_reader(_Reader(mapping.record).read, mapping, name)


_AROUND = "around_a_request"
"""Marks a row whose request is also reported by a nested row."""


def _appended(values: list[Any]) -> Any:
    """Texts or lists as one; of other values the first."""
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    return list(chain.from_iterable(values)) if all(isinstance(value, list) for value in values) else values[0]


def _shipped(name: str) -> Format:
    """The format of a shipped mapping, which is loaded on first use."""

    @functools.cache
    def reader() -> tuple[RecordPlaces, _Reader, list[Finder]]:
        mapping = config.load(config.CONFIGS / "log_mappings" / f"{name}.yaml", TagMapping)
        places = mapping.record or RecordPlaces()
        return places, _Reader(places), [finder((place,)) for place in places.recognised_by]

    def recognises(tree: Mapping[str, Any]) -> bool:
        _, _, marks = reader()
        return bool(marks) and all(find(tree) is not None for find in marks)

    def span(field: str, row: Mapping[str, Any]) -> str | None:
        _, read, _ = reader()
        return f"{read.place('trace_id', row)}/{own}" if (own := read.place(field, row)) else None

    def is_request(row: Mapping[str, Any]) -> bool:
        return reader()[1].other_kind(row) is None

    def given(row: Mapping[str, Any]) -> list[Part]:
        places, read, _ = reader()
        if (request := read.place("continues", row)) is not None and not is_request(row):
            position = count(read.place("position", row), "position", Notes()) or 0
            return [(str(request), position, {key: row.get(key) for key in (*places.messages, *places.answer)})]
        parent = span("parent_span", row)
        if parent is None:
            return []
        return [(parent, PASSED_ON, True)] if is_request(row) else [(span("own_span", row) or "", PASSES_TO, parent)]

    def wanted(row: Mapping[str, Any]) -> Sequence[str]:
        if not is_request(row):
            return ()
        places, read, _ = reader()
        key = read.place("continues", row) if places.continues else span("own_span", row)
        return () if key is None else (str(key),)

    def joined(row: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
        if not reader()[0].continues:
            return {**row, _AROUND: True}
        pieces = [row, *parts]
        return {**row, **{key: _appended([piece[key] for piece in pieces if piece.get(key)]) for key in parts[0]}}

    companions = Companions(given, wanted, joined, unique_keys=True)
    return Format(name, recognises, functools.partial(_reader, name=name), companions=companions)


FORMAT = Format("mapped", lambda tree: False, _reader)
SHIPPED = tuple(_shipped(path.stem) for path in sorted((config.CONFIGS / "log_mappings").glob("*.yaml")))
