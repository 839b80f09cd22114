"""Proposes a mapping for a log of unknown format: the path of each field in its rows.

    fasttier ingest --suggest FILE          # prints YAML; check it, save it, pass it with --config

Paths are judged by name and by their values in a sample of rows: times must parse, messages must be chat messages, ids
must be distinct.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.ingest import content, envelope, sources, tables, time_formats
from pipeline.ingest.bodies import Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.streams import joined
from pipeline.ingest.consent_names import snake
from pipeline.ingest.content import Content
from pipeline.ingest.field_words import in_english
from pipeline.ingest.formats import NotARequest, mapped
from pipeline.ingest.mapping import RecordPlaces, TagMapping
from pipeline.ingest.typed_values import untyped
from pipeline.ingest.values import Notes, opened_value, parse_time, plausible
from traffic.config import dump
from traffic.errors import InputError
from traffic.loose_json import json_or
from traffic.usage import usage_of

_SAMPLE = 200
_MAX_DEPTH = 5
_SHOWN = 60
_SHOWN_UNUSED = 20
_SHOWN_REASONS = 5


class Suggestion(msgspec.Struct, frozen=True):
    """A proposed mapping and how much of the sample it reads."""

    path: str
    mapping: TagMapping
    sampled: int
    readable: int
    examples: dict[str, str]
    """The first row's value at each proposed place."""
    reasons: dict[str, int]
    """Why other rows of the sample cannot be read with it."""
    missing: tuple[str, ...] = ()
    """Fields that cost or routing need and that have no place."""
    unused: dict[str, str] = {}
    """Values without a place in the mapping: path, and an example."""

    def yaml(self) -> str:
        """The mapping file."""
        tree = msgspec.to_builtins(self.mapping)
        record = {key: value for key, value in tree.pop("record").items() if value not in ((), [], {}, None)}
        if record.get("cached_inside_input"):
            record.pop("cached_inside_input")
        kept = {key: value for key, value in tree.items() if value not in ((), [], {}, None) and key != "feedback"}
        lines = [
            f"# Proposed for {self.path}: reads {self.readable} of {self.sampled} sampled rows. Check every place;",
            "# `fasttier ingest LOG --config THIS_FILE` uses it.",
        ]
        for line in dump({**kept, "record": record}).splitlines():
            place = line.strip().removeprefix("- ")
            example = self.examples.get(place)
            lines.append(f"{line}  # {example}" if example and line.strip().startswith("- ") else line)
        return "\n".join(lines) + "\n"

    def lines(self) -> list[str]:
        shown = list(self.reasons.items())[:_SHOWN_REASONS]
        lines = self.yaml().splitlines() + [f"# not readable: {reason} {n}" for reason, n in shown]
        if self.missing:
            lines.append(f"# no place found for: {', '.join(self.missing)}; add those that the log has")
        lines += [f"# not used: {path}  # {example}" for path, example in list(self.unused.items())[:_SHOWN_UNUSED]]
        return lines


def suggest(source: str) -> Suggestion:
    """A mapping for the first rows of a file. Raises: NotFound, InputError."""
    file = sources.find([source])[0]
    rows, where = _sample(Content(file))
    rows = [untyped(row) or row for row in rows]
    if not rows:
        raise InputError(f"{source}: no JSON objects, CSV or Parquet rows in it")
    values: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for path, value in _walk(row):
            values[path].append(value)
    record: dict[str, Any] = {"rows": ".".join(where) or None}
    used: set[str] = set()
    for field, names, fits in _FIELDS:
        place = _best(values, names, fits, used, len(rows))
        if field == "messages" and place is not None and _words(place) & _EARLIER:
            # The turns before, if the question stands apart.
            place = None if _best(values, _PROMPT_NAMES, _is_answer, used, len(rows)) else place
        if place is not None and not (field in _PARTS and _PARTS[field] & record.keys()):
            record[field] = (place,)
            used.add(place)
    if "time" not in record and (found := _formatted_time(values, used, len(rows))):
        place, record["time_format"] = found
        record["time"] = (place,)
        used.add(place)
    texts = [place for field in _TEXT_FIELDS for place in record.get(field, ())]
    if texts and all(len(values[place]) < len(rows) for place in texts):
        # Other lines of the application.
        record["has"] = tuple(texts)
    tags: dict[str, Any] = {"cohort": {}}
    for field, names in _TAG_NAMES.items():
        place = _best(values, names, _is_tag, used, len(rows))
        if place is not None:
            (tags["cohort"] if field in ("plan", "language") else tags)[field] = (place,)
            used.add(place)
    mapping = TagMapping(**tags, record=RecordPlaces(**record))
    readable, reasons = _try(rows, mapping)
    examples = {place: _shown(values[place][0]) for place in used}
    unused = {
        path: _shown(given[0])
        for path, given in values.items()
        if not any(path == place or path.startswith(f"{place}.") for place in used)
        and not isinstance(given[0], Mapping | list | None)
    }
    return Suggestion(source, mapping, len(rows), readable, examples, reasons, _missing(mapping), unused)


def _formatted_time(values: Mapping[str, Sequence[Any]], used: set[str], rows: int) -> tuple[str, str] | None:
    """Place and format of a time that needs a `time_format`; None if the sample does not show which."""
    names = next(names for field, names, _ in _FIELDS if field == "time")
    place = _best(values, names, time_formats.is_time, used, rows)
    form = time_formats.format_of(value for value in values[place] if value not in (None, "")) if place else None
    return (place, form) if place and form else None


def _missing(mapping: TagMapping) -> tuple[str, ...]:
    record = mapping.record or RecordPlaces()
    whole = record.request or record.response
    places = {
        "time": record.time,
        "model": record.model or whole,
        "input_tokens": record.input_tokens or record.usage or record.response,
        "output_tokens": record.output_tokens or record.usage or record.response,
        "call_site": mapping.call_site or mapping.feature,
    }
    return tuple(field for field, place in places.items() if not place)


def _sample(opened: Content) -> tuple[list[dict[str, Any]], envelope.Path]:
    file = opened.file
    if file.is_parquet:
        return _decoded(tables.parquet_rows(file)), ()
    head = opened.head()
    objects = [tree for tree in content.first_trees(head) if isinstance(tree, dict)]
    if len(objects) > 1:
        return objects[:_SAMPLE], ()
    if not objects and tables.csv_header(head):
        return _decoded(tables.csv_rows(opened)), ()
    document = opened.document()
    if document is None:
        return objects, ()
    tree = json_or(document, msgspec.UNSET)
    if tree is msgspec.UNSET:
        return objects, ()
    where = (envelope.list_path(tree) or ()) if isinstance(tree, Mapping) else ()
    return _decoded(envelope.rows_at(document, where)), where


def _decoded(rows: Iterator[bytes]) -> list[dict[str, Any]]:
    trees = []
    for row in rows:
        tree = msgspec.json.decode(row)
        if isinstance(tree, dict):
            trees.append(tree)
        if len(trees) >= _SAMPLE:
            break
    return trees


def _walk(node: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    node = opened_value(node)
    if path:
        yield path, node
    if isinstance(node, Mapping) and depth < _MAX_DEPTH:
        for key, value in node.items():
            yield from _walk(value, f"{path}.{key}" if path else str(key), depth + 1)


def _best(
    values: Mapping[str, Sequence[Any]], names: Sequence[str], fits: Callable[[Any], bool], used: set[str], rows: int
) -> str | None:
    """The path with the best name of `names` and fitting values; on a tie the shallowest."""
    ranked = []
    for path, given in values.items():
        present = [value for value in given if value not in (None, "")]
        inside_body = any(path.startswith(f"{other}.") for other in used)
        if (
            path in used
            or not present
            or sum(map(fits, present)) < 0.9 * len(present)
            or (inside_body and names is not _ANY)
        ):
            continue
        is_text = names is _PROMPT_NAMES or names is _ANSWER_NAMES
        if (fits in _OF_PROMPTS or names is _PROMPT_NAMES) and any(
            word in _folded(in_english(path.rpartition(".")[2])) for word in _ANSWER_WORDS
        ):
            continue
        rank = _rank(path, names, is_text=is_text)
        if rank is None and fits is _is_time and _words(path) & _TIME_WORDS:
            rank = 200
        if rank is None and fits is _is_milliseconds and _words(path) & _MILLISECONDS:
            rank = 200
        if rank is None and names is not _ANY:
            continue
        # Texts of something else, shortened ones and the same text everywhere only where there is no other.
        is_constant = is_text and len(present) > 2 and all(value == present[0] for value in present)
        rank = (rank or 0) + (1000 if _words(path) & _SECOND_CHOICE else 0) + (500 if is_constant else 0)
        ranked.append((rank, -len(present) / rows, path.count("."), path))
    return min(ranked)[3] if ranked else None


def _rank(path: str, names: Sequence[str], *, is_text: bool) -> int | None:
    """How well the last key of a path agrees with the names, 0 is best; None: not at all."""
    *_, around, last = ("", *map(in_english, path.split(".")))
    turned = ""
    keys = {_plain(_folded(last)), _plain(_folded(around + last))}
    if last != path.rpartition(".")[2]:
        # French and Spanish name the thing first: `tokens_entree`.
        turned = _plain("".join(reversed(last.split("_"))))
        keys.add(turned)
    if is_text:
        keys.add("".join(word for word in snake(last).split("_") if word not in _FILLERS))
    plain = list(map(_plain, names))
    rank = next((n for n, name in enumerate(plain) if name in keys), None)
    if rank is None:
        ends = (_plain(_folded(last)), turned)
        long = ((n, name) for n, name in enumerate(plain) if len(name) > 3)
        rank = next((n + 100 for n, name in long if any(end.endswith(name) for end in ends)), None)
    return rank


def _plain(name: str) -> str:
    """The name without words that some applications add: `promptTokenCount` is `promptTokens`."""
    return name.replace("count", "").replace("cnt", "").replace("tokens", "token").replace("inusd", "usd")


def _words(path: str) -> frozenset[str]:
    return frozenset(snake(in_english(path.rpartition(".")[2])).split("_"))


def _folded(key: str) -> str:
    return "".join(character for character in key.casefold() if character.isalnum())


def _is_time(value: Any) -> bool:
    try:
        plausible(parse_time(value))
    except ValueError:
        return False
    return True


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(m, Mapping) and ("role" in m or "type" in m) for m in value)
        and bool(value)
    )


def _is_request(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value.keys() & {"messages", "contents", "input", "prompt"}:
        return False
    if any(_folded(str(key)) in _ANSWER_NAMES for key in value):
        # Prompt and answer side by side.
        return False
    try:
        read_prompt(value, Notes())
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _is_response(value: Any) -> bool:
    if isinstance(value, list):
        return joined(value) is not None
    if not isinstance(value, Mapping) or not value.keys() & {
        "choices",
        "output",
        "content",
        "candidates",
        "completion",
    }:
        return False
    try:
        return read_answer(value, Notes()) is not None
    except (ValueError, TypeError, AttributeError):
        return False


_OF_PROMPTS = (_is_request, _is_messages)
_ANSWER_WORDS = (
    "output",
    "response",
    "completion",
    "answer",
    "choice",
    "reply",
    "generation",
    "result",
    "assistant",
    "bottext",
)
"""Name parts of answers, which may also be lists of messages."""


def _is_answer(value: Any) -> bool:
    if isinstance(value, str) and value.casefold() in ("true", "false"):
        return False
    return isinstance(value, str | Mapping) or (
        isinstance(value, list) and all(isinstance(v, Mapping | str) for v in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and float(value) >= 0
    except (TypeError, ValueError):
        return False


def _is_milliseconds(value: Any) -> bool:
    return _is_number(value) and (float(value) == 0 or 5 <= float(value) <= 3_600_000)


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and float(value) <= 3_600


def _is_tag(value: Any) -> bool:
    return isinstance(value, str | int | bool) and len(str(value)) <= 120 and "/" not in str(value)


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_ANY: tuple[str, ...] = ()
_PROMPT_NAMES = _names(
    "prompt input query question usermessage userinput usertext usercontent promptfull fullprompt text message"
)
_ANSWER_NAMES = _names(
    "completion answer output response reply generation generated result llmoutput choices outputmessages "
    "responsemessages fullresponse assistantmessage assistanttext assistant botmessage bottext aimessage aitext "
    "outputs completions generations replies prediction content"
)
_FILLERS = frozenset(_names("text content body full raw value string"))
_TEXT_FIELDS = ("request", "messages", "prompt", "response", "answer")
_EARLIER = frozenset(_names("history previous context memory past prior"))
_MILLISECONDS = frozenset(_names("ms msec millis milliseconds"))
_TIME_WORDS = frozenset(_names("ts time timestamp date datetime at"))
_SECOND_CHOICE = frozenset(
    _names(
        "expected gold reference ideal target correct corrected label previous preview short truncated summary "
        "template local hash end ended finished completed answered updated deleted expires expired"
    )
)
"""Words in names of fields that are not the one sought."""
_FIELDS: tuple[tuple[str, tuple[str, ...], Callable[[Any], bool]], ...] = (
    ("request", _ANY, _is_request),
    ("response", _ANY, _is_response),
    ("messages", _ANY, _is_messages),
    ("system", ("system", "systemprompt", "systemmessage", "systemtext", "systemcontent", "instructions"), _is_text),
    ("prompt", _PROMPT_NAMES, _is_answer),
    ("answer", _ANSWER_NAMES, _is_answer),
    (
        "id",
        _names(
            "id requestid callid logid eventid messageid uuid spanid responseid completionid rowid reqid requestuuid "
            "requuid corrid"
        ),
        _is_id,
    ),
    (
        "time",
        _names(
            "timestamp time createdat requestedat startedat starttime ts date datetime created loggedat "
            "timegenerated startns startms askedat sentat calledat insertedat occurredat at when t"
        ),
        _is_time,
    ),
    ("model", _names("model modelname modelid engine deployment deploymentname llm llmname"), _is_text),
    ("provider", ("provider", "vendor", "llmprovider"), _is_text),
    ("status", ("status", "statuscode", "httpstatus", "code"), _is_number),
    ("error", ("error", "errormessage", "exception"), _is_answer),
    ("finish_reason", ("finishreason", "stopreason"), _is_text),
    ("usage", ("usage", "tokenusage", "usagedetails"), lambda value: usage_of(value) is not None),
    (
        "input_tokens",
        _names(
            "inputtokens prompttokens tokensin tokensprompt intokens inputtokencount usagein usageinput usageprompt "
            "messagetokens requesttokens questiontokens"
        ),
        _is_number,
    ),
    (
        "output_tokens",
        _names(
            "outputtokens completiontokens tokensout tokenscompletion outtokens outputtokencount usageout usageoutput "
            "answertokens responsetokens"
        ),
        _is_number,
    ),
    ("cached_tokens", ("cachedtokens", "cachereadtokens", "tokenscached", "usagecached"), _is_number),
    ("cost_usd", _names("costusd cost totalcost price usd spend"), _is_number),
    ("latency_ms", _names("latencyms durationms elapsedms responsetimems latency duration ms"), _is_milliseconds),
    (
        "latency_s",
        _names(
            "latencys durations elapsed latencyseconds durationseconds latencysec durationsec seconds latency duration"
        ),
        _is_seconds,
    ),
    ("ttft_ms", ("ttftms", "ttft", "timetofirsttoken"), _is_number),
    ("cache_hit", ("cachehit", "cached", "fromcache"), lambda value: isinstance(value, bool | str | int)),
    ("trace_id", ("traceid", "correlationid"), _is_id),
)
_PARTS = {
    "messages": {"request"},
    "system": {"request"},
    "prompt": {"request", "messages"},
    "answer": {"response"},
    "usage": {"response"},
    "input_tokens": {"usage"},
    "output_tokens": {"usage"},
    "latency_s": {"latency_ms"},
}
"""Fields made redundant by others."""
_TAG_NAMES = {
    "call_site": _names(
        "callsite usecase task taskname promptname functionname endpoint route operation template agent component"
    ),
    "feature": ("feature", "product", "module", "servicename"),
    "user_id": ("userid", "user", "enduser"),
    "customer_id": _names(
        "customerid customer accountid tenantid tenant orgid workspaceid accountref customerref tenantref"
    ),
    "session_id": ("sessionid", "session", "conversationid", "threadid", "chatid"),
    "visibility": ("visibility",),
    "plan": ("plan", "subscription", "userplan", "planname"),
    "language": ("language", "lang", "locale"),
}


def _try(rows: Sequence[Mapping[str, Any]], mapping: TagMapping) -> tuple[int, dict[str, int]]:
    read = mapped.FORMAT.reader(mapping)
    reasons: dict[str, int] = defaultdict(int)
    readable = 0
    for row in rows:
        try:
            reading = read(msgspec.json.encode(row))
            record = reading.record
            if record.output.text is None and not record.output.tool_calls and record.error in (None, "status 0"):
                reasons["no answer found"] += 1
            elif bytes(record.messages) == b"[]":
                reasons["no prompt found"] += 1
            else:
                readable += 1
        except (Unreadable, NotARequest, ValueError, TypeError, AttributeError) as error:
            reasons[str(error)[:80]] += 1
    return readable, dict(reasons)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
