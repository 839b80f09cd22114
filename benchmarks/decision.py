"""Time of the routing decision, from messages to tier, in process without a server.

    python -m benchmarks.decision [--home data] [--requests 2000] [--passes 5] [--json]

Three kinds of requests: 2,000 tokens with a known system prompt; 2,000 new tokens, with the instruction in the system
prompt or in the user's message; and with --home the requests of that home's records store, in the log's order. The
target is a multiple of json.loads of the same body.

Each request is timed once in every pass over all requests, and its time is the least of them: passes differ by other
load on the machine alone. A pass has more texts than the caches hold, so that a new text is new in every pass. The
quantiles are over requests, of the decision and of json.loads alike. Times are of the thread's CPU clock.
"""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness
from traffic import config, policy
from traffic.features import features_of, request_type
from traffic.record import Message, Params, decode_messages

Request = tuple[list[Message], Any, Any, Params]
TOKENS = 2000
CACHED_TEXTS = 1024
"""Prompts that the rules remember (`traffic.phrases`)."""
MAX_P99_RATIO = 5.0
WORDS = (
    "hello I ordered a grey lamp and two small chairs from your shop on Monday evening but the parcel that came today "
    "had only one chair in it and its left leg was bent so my daughter could not sit down at dinner we kept the box "
    "with all of its foam and tape the driver said he would come back before Friday yet nobody rang our bell this "
    "week my neighbour thinks that her delivery may have been swapped with mine because she got a blue vase she had "
    "not paid for what should we do next can somebody call me after five thanks for looking into it best wishes Ines "
    "the account was opened in March under my old address please change the street number write to both of us when "
    "done there is no hurry if you are busy as long as the invoice shows the right name and the total after discount"
).split()
TASKS = (
    "Answer with exactly one label: order, complaint or other.",
    "Extract the name and the date as JSON, null where there is none.",
    "Fix the grammar and return only the corrected text.",
    "Solve the problem step by step and show your work.",
    "Summarise the conversation for the next shift.",
    "Write a friendly reply of four sentences.",
)


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--home", type=Path, help="also time the requests of this home's records store")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--passes", type=int, default=5)
    options = parser.parse_args()
    if options.requests <= CACHED_TEXTS:
        parser.error(
            f"--requests: at least {CACHED_TEXTS + 1}; of fewer, a second pass would find all texts in the caches"
        )

    rules = policy.load(config.CONFIGS / "router.yaml")
    kinds: dict[str, Callable[[], Iterable[Request]]] = {
        "seen system prompt": lambda: invented(options.requests, "seen"),
        "unseen system prompt": lambda: invented(options.requests, "system"),
        "unseen user message": lambda: invented(options.requests, "user"),
    }
    if options.home:
        kinds["logged requests"] = lambda: logged(options.home)
    result = {kind: timed(rules, requests, options.passes) for kind, requests in kinds.items()}
    harness.show(result, options.json, lines(result))


def lines(result: dict[str, dict[str, float]]) -> Iterator[str]:
    for kind, times in result.items():
        verdict = "MET" if times["p99_ratio"] <= MAX_P99_RATIO else "MISSED"
        yield (
            f"{kind:22} p50 {times['p50_us']:6.1f} µs   p99 {times['p99_us']:6.1f} µs   n {times['n']:,}   "
            f"{times['p50_ratio']:.2f}x and {times['p99_ratio']:.2f}x json.loads  bar {MAX_P99_RATIO:g}x  {verdict}"
        )


def timed(rules: policy.Policy, requests: Callable[[], Iterable[Request]], passes: int) -> dict[str, float]:
    """Quantiles in microseconds. The first request of a kind is not counted, since it compiles patterns."""
    decided: list[int] = []
    loaded: list[int] = []
    for one_pass in range(passes):
        for n, (messages, tools, form, params) in enumerate(requests()):
            encoded = msgspec.json.encode(messages)
            sent = {"model": "m", "messages": msgspec.Raw(encoded), "tools": tools, "response_format": form}
            body = msgspec.json.encode(sent)
            # As new objects, since a text remembers its hash.
            received = decode_messages(encoded)
            began = time.thread_time_ns()
            json.loads(body)
            loads_ns = time.thread_time_ns() - began
            began = time.thread_time_ns()
            features = features_of(received, tools, form, params)
            policy.decide(rules, features, request_type(features, received), None)
            decision_ns = time.thread_time_ns() - began
            if one_pass == 0:
                loaded.append(loads_ns)
                decided.append(decision_ns)
            else:
                loaded[n] = min(loaded[n], loads_ns)
                decided[n] = min(decided[n], decision_ns)
    ratios = sorted(decision / loads for decision, loads in zip(decided[1:], loaded[1:], strict=True))
    taken, loads = (sorted(ns / 1000 for ns in times[1:]) for times in (decided, loaded))
    p50, p99 = len(taken) // 2, int(len(taken) * 0.99)
    return {
        "n": len(taken),
        "p50_us": taken[p50],
        "json_loads_p50_us": loads[p50],
        "p50_ratio": taken[p50] / loads[p50],
        "p99_us": taken[p99],
        "json_loads_p99_us": loads[p99],
        "p99_ratio": taken[p99] / loads[p99],
        "p99_of_ratios": ratios[p99],
    }


def invented(count: int, new: str) -> Iterator[Request]:
    """Requests of 2,000 tokens of plausible words; `new`: the message that differs in every request."""
    draw = random.Random(4)
    fixed = text(draw, 3 * TOKENS, TASKS[0])
    for n in range(count):
        task = TASKS[n % len(TASKS)]
        if new == "user":
            # Alternately with the task before and after its data.
            yield [Message("user", text(draw, 4 * TOKENS, task, front=n % 2 == 0))], None, None, Params()
            continue
        system = fixed if new == "seen" else text(draw, 3 * TOKENS, task)
        yield [Message("system", system), Message("user", text(draw, TOKENS, ""))], None, None, Params()


def text(draw: random.Random, characters: int, task: str, *, front: bool = True) -> str:
    """Paragraphs of sentences with words that are unique to this text, and the task at one end."""
    parts: list[str] = []
    size = len(task)
    while size < characters:
        words = draw.choices(WORDS, k=draw.randint(6, 18))
        words[draw.randrange(len(words))] = f"{draw.choice(WORDS)}{draw.getrandbits(20):x}"
        parts.append(" ".join(words).capitalize() + draw.choice((". ", ". ", ".\n", ".\n\n", ": ", "? ")))
        size += len(parts[-1])
    body = "".join(parts)
    return f"{task}\n\n{body}" if front else f"{body}\n\n{task}"


def logged(home: Path) -> Iterator[Request]:
    """Every request of the store."""
    from pipeline import store
    from traffic.artifacts import Home

    rows = store.connect(Home(home)).sql("SELECT messages, tools, response_format, params FROM records ORDER BY ts, id")
    for batch in rows.to_arrow_reader(2048):
        for row in batch.to_pylist():
            tools, form = (json.loads(row[name]) if row[name] else None for name in ("tools", "response_format"))
            parameters = row["params"] or {}
            other = json.loads(parameters["other"]) if parameters.get("other") else {}
            params = Params(
                parameters.get("max_tokens"), parameters.get("temperature"), bool(parameters.get("stream")), other
            )
            yield decode_messages(row["messages"]), tools, form, params


if __name__ == "__main__":
    main()
