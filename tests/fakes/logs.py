"""Request logs of an invented shop, in every format that ingest reads: the same attempts, written differently.

    lines = litellm_lines(300, seed=1)          # also pair_lines, native_lines
    write_log(tmp_path / "log.jsonl.gz", lines)

`attempts(n, seed)` gives the truth behind them: n requests over four weeks, of which some are retried
after errors, come out of the gateway's cache, are cut off, repeat word for word, get a thumb, or carry
a wrong answer (`fault`). Five call sites: `helpdesk.topic` (closed labels), `orders.fields` (JSON),
`mail.polish` (rewrite), `notes.summary` (background, read times), `planner.steps` (tools, tier 3).
"""

import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 28

TOPICS: dict[str, tuple[str, ...]] = {
    "billing": (
        "why was my card charged {n} euros twice",
        "the invoice for the {thing} shows a wrong amount",
        "i want my {n} euros of tax back",
    ),
    "delivery": (
        "where is the parcel with my {thing}",
        "the courier left order {n} with a neighbour",
        "my {thing} should have come days ago",
    ),
    "returns": (
        "how do i send the {thing} back",
        "the {thing} is broken, i want to return it",
        "which label do i stick on return {n}",
    ),
    "account": (
        "i cannot log in since {n} days",
        "please change the mail address of my account",
        "delete my profile and the saved {thing}",
    ),
    "product": ("does the {thing} fit size {n}", "is the {thing} waterproof", "what is the {thing} made of"),
    "other": ("do you hire people in {city}", "hello from {city}", "my neighbour in {city} sings at night"),
}
"""Labels of `helpdesk.topic`, each with what people write."""

LABELS = tuple(TOPICS)
_THINGS = ("kettle", "tent", "rain jacket", "lamp", "backpack", "desk", "camping stove", "blanket", "teapot", "ladder")
_CITIES = ("Ghent", "Porto", "Graz", "Turku", "Leeds", "Lyon", "Malmo", "Bari")

TOPIC_SYSTEM = (
    "You sort messages to the help desk of a mail-order shop by topic.\n\nTopics: "
    + ", ".join(LABELS)
    + ".\nbilling is money that moved or should move; delivery is a parcel on its way; returns is a parcel on its way "
    "back; account is the customer's login and data; product is a question before buying; other is everything else.\n"
    "Answer with the name of one topic and nothing else. Never explain. Messages may hold typing errors."
)
ORDER_SYSTEM = (
    "You read one order that was dictated on the phone and return JSON with the keys product (text), quantity (whole "
    "number) and city (text). Return the object alone, without a code fence. Keep the spelling of names."
)
ORDER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["product", "quantity", "city"],
    "properties": {"product": {"type": "string"}, "quantity": {"type": "integer"}, "city": {"type": "string"}},
}
POLISH_SYSTEM = "Correct spelling and grammar of one sentence from a customer mail. Return the sentence alone."
SUMMARY_SYSTEM = "Summarise the day's notes of a warehouse shift in two sentences for the next shift."
PLANNER_SYSTEM = "You plan stock transfers between warehouses step by step and call tools to look up stock levels."
STOCK_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "stock_level",
        "description": "Pieces of a product in a warehouse.",
        "parameters": {"type": "object", "properties": {"product": {"type": "string"}, "city": {"type": "string"}}},
    },
}

_MIX = (
    ("helpdesk.topic", 40),
    ("orders.fields", 25),
    ("mail.polish", 12),
    ("notes.summary", 13),
    ("planner.steps", 10),
)
_PLANS = ("free", "pro", "enterprise", None)
_ERRORS = {
    429: ("RateLimitError", "Too many tokens this minute"),
    500: ("InternalServerError", "Something broke on our side"),
    503: ("ServiceUnavailableError", "Overloaded, come back later"),
    408: ("Timeout", "No answer within 30 s"),
}


@dataclass(frozen=True)
class Attempt:
    """One attempt and the truth about it."""

    id: str
    call_site: str
    ts: datetime
    messages: list[dict[str, Any]]
    answer: str | None
    right: str | None
    """The correct answer, where there is one."""
    session: str
    user: str
    customer: str | None
    plan: str | None
    language: str = "en"
    visibility: str = "human"
    fault: str | None = None
    """wrong_label, prose, truncated, bad_json, wrong_value: what is wrong with the answer."""
    finish: str | None = "stop"
    tools: list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    stream: bool = False
    status: int = 200
    latency_ms: float = 600.0
    usage_logged: bool = True
    cached: int = 0
    cache_hit: bool = False
    model: str = "gpt-4o"
    retry_of: str | None = None
    """First attempt of the same request."""
    attempt: int = 1
    duplicate_of: str | None = None
    thumb: str | None = None
    corrected: str | None = None
    tracked: bool = False
    consumed_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def input_tokens(self) -> int:
        return 3 + sum(4 + len(str(m["content"] or "")) // 4 for m in self.messages)

    @property
    def output_tokens(self) -> int:
        return max(1, len(self.answer or json.dumps(self.tool_calls)) // 4)

    @property
    def cost_usd(self) -> float:
        """gpt-4o: 2.50, 1.25 (cached) and 10 USD per million tokens."""
        if self.status != 200 or self.cache_hit or not self.usage_logged:
            return 0.0
        uncached = self.input_tokens - self.cached
        return round((uncached * 2.5 + self.cached * 1.25 + self.output_tokens * 10) / 1e6, 9)


def attempts(
    n: int,
    seed: int = 0,
    *,
    retries: float = 0.04,
    duplicates: float = 0.08,
    cache_hits: float = 0.02,
    faults: float = 0.05,
    thumbs: float = 0.03,
    usage_missing: float = 0.2,
    call_sites: Iterable[str] | None = None,
) -> list[Attempt]:
    """`n` requests with their retries, in the order of time. Shares are of requests; `usage_missing` of streams."""
    rng = random.Random(seed)
    mix = [(name, weight) for name, weight in _MIX if call_sites is None or name in set(call_sites)]
    times = sorted(rng.uniform(0, DAYS * 86_400) for _ in range(n))
    requests: list[Attempt] = []
    attempts: list[Attempt] = []
    for number, seconds in enumerate(times):
        ts = START + timedelta(microseconds=int(seconds * 1e6))
        site = rng.choices([name for name, _ in mix], [weight for _, weight in mix])[0]
        earlier = [a for a in requests[-200:] if a.call_site == site]
        if earlier and rng.random() < duplicates:
            first = rng.choice(earlier)
            person = _person(rng, number)
            request = replace(first, id=_id(rng), ts=ts, **person, duplicate_of=first.duplicate_of or first.id)
            request = replace(request, thumb=None, corrected=None, cache_hit=False, tracked=False, consumed_at=None)
        else:
            request = replace(_ask(rng, site, faults), id=_id(rng), ts=ts, **_person(rng, number))
        request = _circumstances(rng, request, cache_hits, thumbs, usage_missing)
        requests.append(request)
        attempts += _tried(rng, request) if rng.random() < retries else [request]
    return sorted(attempts, key=lambda a: a.ts)


def litellm_line(a: Attempt) -> bytes:
    """LiteLLM's StandardLoggingPayload."""
    ok = a.status == 200
    name, text = _ERRORS.get(a.status, ("", ""))
    tags: dict[str, Any] = {
        "feature": a.call_site, "plan": a.plan, "language": a.language, "user_id": a.user, "customer_id": a.customer,
        "session_id": a.session, "visibility": a.visibility,
    }  # fmt: skip
    if a.tracked:
        tags["consumed_at"] = a.consumed_at and _iso(a.consumed_at)
    if a.thumb:
        tags["feedback"] = {"thumb": a.thumb, "at": _iso(a.ts + timedelta(minutes=2))}
        tags["feedback"] |= {"corrected": a.corrected} if a.corrected is not None else {}
    end = a.ts + timedelta(milliseconds=a.latency_ms)
    parameters: dict[str, Any] = {"temperature": 0.0, "max_tokens": 512} | ({"stream": True} if a.stream else {})
    parameters |= {"tools": a.tools, "tool_choice": "auto"} if a.tools else {}
    parameters |= {"response_format": a.response_format} if a.response_format else {}
    counted = ok and a.usage_logged
    row = {
        "id": a.id,
        "trace_id": a.session,
        "call_type": "acompletion",
        "cache_hit": a.cache_hit if ok else None,
        "stream": a.stream,
        "status": "success" if ok else "failure",
        "custom_llm_provider": "openai",
        "startTime": _iso(a.ts),
        "endTime": _iso(end),
        "completionStartTime": _iso(a.ts + timedelta(milliseconds=a.latency_ms / 3) if a.stream else end),
        "response_time": a.latency_ms / 1000,
        "model": a.model,
        "metadata": {"user_api_key_alias": "shop", "requester_metadata": tags},
        "response_cost": a.cost_usd,
        "prompt_tokens": a.input_tokens if counted else 0,
        "completion_tokens": a.output_tokens if counted else 0,
        "request_tags": [f"feature:{a.call_site}", "env:production"],
        "end_user": a.user,
        "api_base": "https://api.example.com",
        "messages": a.messages,
        "response": _response(a) if ok else None,
        "model_parameters": parameters,
        "error_str": None if ok else f"litellm.{name}: {text}",
        "error_information": {"error_code": "" if ok else str(a.status), "error_class": name, "error_message": text},
    }
    return _dump(row | a.extra)


def pair_line(a: Attempt) -> bytes:
    """An OpenAI request/response pair; tags are text, and absent where there is no value."""
    tags: dict[str, str | None] = {
        "feature": a.call_site, "plan": a.plan, "language": a.language, "customer_id": a.customer,
        "session_id": a.session, "visibility": a.visibility, "consumed_at": a.consumed_at and _iso(a.consumed_at),
        "feedback": json.dumps({"thumb": a.thumb, "corrected": a.corrected}) if a.thumb else None,
    }  # fmt: skip
    request: dict[str, Any] = {"model": a.model, "messages": a.messages, "temperature": 0.0, "max_tokens": 512}
    request |= {"stream": True} if a.stream else {}
    request |= {"tools": a.tools, "tool_choice": "auto"} if a.tools else {}
    request |= {"response_format": a.response_format} if a.response_format else {}
    request |= {"user": a.user, "metadata": {key: value for key, value in tags.items() if value is not None}}
    error = {"error": {"message": _ERRORS[a.status][1], "type": "server_error"}} if a.status != 200 else None
    row = {
        "id": a.id,
        "timestamp": _iso(a.ts),
        "latency_ms": a.latency_ms,
        "status": a.status,
        "request": request,
        "response": error or _response(a),
    }
    return _dump(row | a.extra)


def native_line(a: Attempt) -> bytes:
    """The router's own log, where attempts of one request are linked already."""
    ok = a.status == 200
    counted = ok and a.usage_logged
    row: dict[str, Any] = {
        "schema_version": 1,
        "id": a.id,
        "request_id": f"req-{a.retry_of or a.id}",
        "purpose": "retry" if a.retry_of else "serve",
        "attempt": a.attempt,
        "ts": _iso(a.ts),
        "session_id": a.session,
        "call_site": a.call_site,
        "visibility": a.visibility,
        "cohort": {"language": a.language} | ({"plan": a.plan} if a.plan else {}),
        "user_id": a.user,
        "messages": a.messages,
        "params": {"max_tokens": 512, "temperature": 0.0, "stream": a.stream},
        "output": {"text": a.answer, "finish_reason": a.finish, "tool_calls": a.tool_calls} if ok else {},
        "provider": "openai",
        "model": a.model,
        "tier": 3 if a.tools else 2,
        "cache_hit": a.cache_hit,
        "status": a.status,
        "latency_ms": a.latency_ms,
        "source_format": "native",
    }
    row |= {"customer_id": a.customer} if a.customer else {}
    row |= {"tools": a.tools} if a.tools else {}
    row |= {"response_format": a.response_format} if a.response_format else {}
    row |= {"error": ": ".join(_ERRORS[a.status])} if not ok else {}
    if counted:
        uncached = a.input_tokens - a.cached
        row["usage"] = {"input_uncached": uncached, "cache_read": a.cached, "output": a.output_tokens}
        row |= {"cost_usd": a.cost_usd, "price_source": "prices.yaml"}
    return _dump(row | a.extra)


def litellm_lines(n: int, seed: int = 0, **shares: Any) -> list[bytes]:
    """Lines without their line ends; `shares` are those of `attempts`."""
    return [litellm_line(a) for a in attempts(n, seed, **shares)]


def pair_lines(n: int, seed: int = 0, **shares: Any) -> list[bytes]:
    return [pair_line(a) for a in attempts(n, seed, **shares)]


def native_lines(n: int, seed: int = 0, **shares: Any) -> list[bytes]:
    return [native_line(a) for a in attempts(n, seed, **shares)]


def broken_lines(whole: bytes) -> dict[str, bytes]:
    """Lines that cannot be read, by the reason that ingest must give; `whole` is any good line."""
    return {
        "cut_json": whole[: len(whole) // 2],
        "invalid_utf8": whole[:-1] + b',"note":"\xc3("}',
        "not_json": b'INFO: 127.0.0.1 - "POST /v1/chat/completions" 200 OK',
        "wrong_types": b'{"id": 7, "messages": "hello", "startTime": null, "timestamp": [], "request": 1}',
        "empty_line": b"",
    }


def write_log(path: Path, lines: Iterable[bytes]) -> Path:
    """Write lines as a file, compressed if its name ends in .gz. Returns the path."""
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def _ask(rng: random.Random, site: str, faults: float) -> Attempt:
    """A new request of a call site with its answer; who asks and when comes later."""
    filled = {"n": rng.randint(2, 60), "thing": rng.choice(_THINGS), "city": rng.choice(_CITIES)}
    faulty = rng.random() < faults
    blank = Attempt("", site, START, [], None, None, "", "", None, None)
    if site == "helpdesk.topic":
        label = rng.choice(LABELS)
        text = rng.choice(TOPICS[label]).format(**filled)
        kind = rng.choice(("wrong_label", "prose", "truncated")) if faulty else None
        wrong = rng.choice([other for other in LABELS if other != label])
        said = {"wrong_label": wrong, "prose": f"The topic is {label}.", "truncated": label[:3], None: label}[kind]
        finish = "length" if kind == "truncated" else "stop"
        return replace(
            blank, messages=_chat(TOPIC_SYSTEM, f"Message: {text}"), answer=said, right=label, fault=kind, finish=finish
        )
    if site == "orders.fields":
        right = {"product": filled["thing"], "quantity": filled["n"], "city": filled["city"]}
        kind = rng.choice(("bad_json", "wrong_value")) if faulty else None
        said = json.dumps(right | ({"quantity": filled["n"] + 1} if kind == "wrong_value" else {}))
        text = f"Good morning, {filled['n']} times the {filled['thing']} please, and send it to {filled['city']}."
        form = {"type": "json_schema", "json_schema": {"name": "order", "strict": True, "schema": ORDER_SCHEMA}}
        answer = f"```json\n{said}" if kind == "bad_json" else said
        chat = _chat(ORDER_SYSTEM, text)
        return replace(blank, messages=chat, answer=answer, right=json.dumps(right), fault=kind, response_format=form)
    if site == "mail.polish":
        right_text = f"The {filled['thing']} arrived in {filled['city']} after {filled['n']} days."
        return replace(
            blank,
            messages=_chat(POLISH_SYSTEM, right_text.lower().replace("arrived", "arived")),
            answer=right_text,
            right=right_text,
        )
    if site == "notes.summary":
        notes = " ".join(f"{rng.randint(1, 90)} x {rng.choice(_THINGS)} to {rng.choice(_CITIES)}." for _ in range(30))
        read = rng.random() < 0.2
        summary = f"Thirty transfers, most to {filled['city']}. Nothing is left over."
        return replace(
            blank, messages=_chat(SUMMARY_SYSTEM, notes), answer=summary, right=None, visibility="background",
            stream=True, tracked=True, consumed_at=START if read else None,
        )  # fmt: skip
    call = {"name": "stock_level", "arguments": json.dumps({"product": filled["thing"], "city": filled["city"]})}
    question = f"Can {filled['city']} cover {filled['n']} more of the {filled['thing']}?"
    called = [{"id": "call_1", "type": "function", "function": call}]
    planned = replace(blank, messages=_chat(PLANNER_SYSTEM, question), tools=[STOCK_TOOL])
    return replace(planned, finish="tool_calls", tool_calls=called)


def _circumstances(
    rng: random.Random, attempt: Attempt, cache_hits: float, thumbs: float, usage_missing: float
) -> Attempt:
    """What happens around an answer: latency, caches, a missing count, a thumb, somebody reading it."""
    changes: dict[str, Any] = {"latency_ms": round(rng.uniform(250, 2500), 1)}
    if rng.random() < cache_hits:
        changes |= {"cache_hit": True, "latency_ms": 4.0}
    if attempt.stream and rng.random() < usage_missing:
        changes["usage_logged"] = False
    if attempt.input_tokens > 100 and rng.random() < 0.5:
        changes["cached"] = 64
    if attempt.right and (attempt.fault or rng.random() < thumbs) and rng.random() < 0.6:
        wrong = attempt.fault is not None
        changes |= {
            "thumb": "down" if wrong else "up",
            "corrected": attempt.right if wrong and rng.random() < 0.5 else None,
        }
    if attempt.consumed_at is not None:
        changes["consumed_at"] = attempt.ts + timedelta(minutes=rng.randint(1, 300))
    return replace(attempt, **changes)


def _tried(rng: random.Random, answered: Attempt) -> list[Attempt]:
    """The request after one to three failed attempts, a little later each time."""
    tries: list[Attempt] = []
    ts, first = answered.ts, _id(rng)
    for number in range(1, rng.randint(1, 3) + 1):
        status = rng.choice(tuple(_ERRORS))
        identity = first if number == 1 else _id(rng)
        failed = replace(
            answered, id=identity, ts=ts, status=status, attempt=number, retry_of=None if number == 1 else first
        )
        tries.append(replace(failed, cache_hit=False, thumb=None, corrected=None, tracked=False, cached=0, fault=None))
        ts += timedelta(milliseconds=answered.latency_ms, seconds=rng.uniform(0.5, 20))
    return [*tries, replace(answered, ts=ts, attempt=len(tries) + 1, retry_of=first)]


def _response(a: Attempt) -> dict[str, Any]:
    usage = {
        "prompt_tokens": a.input_tokens,
        "completion_tokens": a.output_tokens,
        "total_tokens": a.input_tokens + a.output_tokens,
        "prompt_tokens_details": {"cached_tokens": a.cached},
    }
    message = {"role": "assistant", "content": a.answer, "tool_calls": a.tool_calls}
    return {
        "id": a.id,
        "model": a.model,
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": a.finish, "message": message}],
        "usage": usage if a.usage_logged else None,
    }


def _person(rng: random.Random, number: int) -> dict[str, Any]:
    plan = rng.choices(_PLANS, (30, 50, 17, 3))[0]
    who = rng.randint(1, 60)
    customer = f"cus_{who % 12}" if plan in ("pro", "enterprise") else None
    return {"session": f"s_{number}", "user": f"u_{who}", "customer": customer, "plan": plan}


def _chat(system: str, user: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _id(rng: random.Random) -> str:
    return f"chatcmpl-{rng.getrandbits(96):024x}"


def _iso(ts: datetime) -> str:
    return ts.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _dump(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
