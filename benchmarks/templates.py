"""Measure how long one live request takes to be matched against the templates of its call site.

    python benchmarks/templates.py [--requests 20000] [--json]

The prompts are invented: a system prompt of about 1,500 tokens, fixed or with a name, a date, a plan and an
id in it, and a short user message. `hit` matches, `miss` differs in one word near the end, `uneven` hits with
other whitespace, `new` is a system prompt that no request had before. Microseconds per request, on one core.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from traffic.prompts import Messages, Template, match_any
from traffic.templates import find_templates

WORDS = (
    "orders refunds delivery parcels shoes bikes gears wheels saddles bells lights locks helmets gloves pumps".split()
)
RULES = "\n".join(
    f"- Rule {n}: a message about {WORDS[n % 15]} number {n} belongs to {WORDS[n % 15]}_{n}, never to any other label."
    for n in range(62)
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {
        "system_characters": len(RULES),
        "fixed": measured(lambda _draw: RULES, options.requests),
        "slots": measured(with_slots, options.requests),
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


def with_slots(draw: random.Random) -> str:
    name, day = draw.choice(["Ann", "Bob", "Cleo", "Dan", "Eva", "Finn"]), draw.randrange(1, 29)
    plan, ticket = draw.choice(["free", "pro", "team"]), draw.getrandbits(40)
    return f"You help {name}. Today is 2026-11-{day:02}. Plan: {plan}.\n{RULES}\nThis is ticket {ticket:x}."


def measured(system: Callable[[random.Random], str], requests: int) -> dict[str, Any]:
    draw = random.Random(0)

    def ask(text: str) -> Messages:
        user = f"where is order {draw.getrandbits(32)} that I paid yesterday?"
        return [{"role": "system", "content": text}, {"role": "user", "content": user}]

    start = time.perf_counter()
    templates = find_templates([ask(system(draw)) for _ in range(2000)], system="topic")
    finding = time.perf_counter() - start
    changed = RULES.replace("Rule 60", "Law 60")
    variants: dict[str, Callable[[int], Messages]] = {
        "hit": lambda _n: ask(system(draw)),
        "miss": lambda _n: ask(system(draw).replace(RULES, changed)),
        "uneven": lambda _n: ask(system(draw).replace("\n", " \n") + "\n"),
        "new": lambda n: ask(f"{n} {changed}"),
    }
    found = {
        name: times(templates, make, requests, expect=name in ("hit", "uneven")) for name, make in variants.items()
    }
    return {"templates": len(templates), "found_in_s_of_2000_requests": round(finding, 3), **found}


def times(
    templates: list[Template], make: Callable[[int], Messages], requests: int, *, expect: bool
) -> dict[str, float]:
    taken = []
    for n in range(requests):
        # Made anew for each request, as a server decodes it: no hash of the text is there yet.
        messages = make(n)
        start = time.perf_counter_ns()
        found = match_any(templates, messages)
        taken.append((time.perf_counter_ns() - start) / 1000)
        if (found is not None) != expect:
            raise SystemExit(f"request {n}: {'not ' if expect else ''}matched")
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_us": round(cuts[49], 1), "p99_us": round(cuts[98], 1)}


if __name__ == "__main__":
    main()
