"""Time of the routing decision, from messages to tier, in process without a server.

    python -m benchmarks.decision [--home data] [--requests 5000] [--json]

Three kinds of requests: 2,000 tokens with a known system prompt; 2,000 new tokens, with the instruction in the system
prompt or in the user's message; and with --home the requests of that home's records store, in the log's order. The
target is a multiple of json.loads of the same body. Times are of the thread's CPU clock, independent of other load.
"""

import json
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness
from traffic import config, policy
from traffic.features import features_of, request_type
from traffic.record import Message, Params, decode_messages

TOKENS = 2000
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
    parser.add_argument("--requests", type=int, default=5000)
    options = parser.parse_args()

    rules = policy.load(config.CONFIGS / "router.yaml")
    kinds: dict[str, Iterable[tuple[list[Message], Any, Any, Params]]] = {
        "seen system prompt": invented(options.requests, "seen"),
        "unseen system prompt": invented(options.requests, "system"),
        "unseen user message": invented(options.requests, "user"),
    }
    if options.home:
        kinds["logged requests"] = logged(options.home)
    result = {kind: timed(rules, requests) for kind, requests in kinds.items()}
    harness.show(result, options.json, lines(result))


def lines(result: dict[str, dict[str, float]]) -> Iterator[str]:
    for kind, times in result.items():
        verdict = "MET" if times["p99_ratio"] <= MAX_P99_RATIO else "MISSED"
        yield (
            f"{kind:22} p50 {times['p50_us']:6.1f} µs   p99 {times['p99_us']:6.1f} µs   n {times['n']:,}   "
            f"p99 {times['p99_ratio']:.2f}x json.loads  bar {MAX_P99_RATIO:g}x  {verdict}"
        )


def timed(rules: policy.Policy, requests: Iterable[tuple[list[Message], Any, Any, Params]]) -> dict[str, float]:
    """Quantiles in microseconds. The first request of a kind is not counted, since it compiles patterns."""
    taken, loaded = [], []
    for messages, tools, form, params in requests:
        sent = {"model": "m", "messages": messages, "tools": tools, "response_format": form}
        body = msgspec.json.encode(sent)
        began = time.thread_time_ns()
        json.loads(body)
        loaded.append((time.thread_time_ns() - began) / 1000)
        began = time.thread_time_ns()
        features = features_of(messages, tools, form, params)
        policy.decide(rules, features, request_type(features, messages), None)
        taken.append((time.thread_time_ns() - began) / 1000)
    taken, loaded = sorted(taken[1:]), sorted(loaded[1:])
    p99, loads_p99 = taken[int(len(taken) * 0.99)], loaded[int(len(loaded) * 0.99)]
    middle = {"n": len(taken), "p50_us": taken[len(taken) // 2], "json_loads_p50_us": loaded[len(loaded) // 2]}
    return middle | {"p99_us": p99, "json_loads_p99_us": loads_p99, "p99_ratio": p99 / loads_p99}


def invented(count: int, new: str) -> Iterator[tuple[list[Message], Any, Any, Params]]:
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


def logged(home: Path) -> Iterator[tuple[list[Message], Any, Any, Params]]:
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
