"""Which features work through the router for every pair of client and endpoint dialect, judged by the real SDKs.

    make bench-fidelity            # or: python -m benchmarks.fidelity [--check] [--json [FILE]]

A router on a real port between the SDKs (openai, anthropic) and fake endpoints that send recorded bytes. A cell passes
if the SDK's objects have the endpoint's content and the endpoint got the client's request; a request that the router
refuses by name is "refused". Writes the table into docs/router.md (--check: compares it); exit status 1 for any "fail".
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import harness
from benchmarks.fidelity_clients import (
    CALL_ID,
    CLIENTS,
    DOCUMENT,
    IMAGE,
    QUESTION,
    RESULT,
    TOOLS,
    Client,
    Got,
    Place,
)
from benchmarks.fidelity_upstreams import UPSTREAMS, Asked, Said, Upstream
from tests.fakes import bedrock
from tests.fakes.raw_upstream import Play, RawUpstream
from tests.fakes.router import RunningRouter, endpoint, routing
from traffic.artifacts import Home

ROOT = Path(__file__).resolve().parent.parent

PAGE = ROOT / "docs" / "router.md"
BEGIN, END = "<!-- fidelity: written by make bench-fidelity -->", "<!-- /fidelity -->"


class Wire(NamedTuple):
    """Client, endpoint dialect and endpoint of one cell."""

    client: Client
    dialect: Upstream
    server: RawUpstream

    def playing(self, play: Play) -> Client:
        """The client, after setting the endpoint's answer."""
        self.server.play = play
        return self.client

    @property
    def asked(self) -> Asked:
        """The endpoint's last request."""
        return self.dialect.asked(self.server.bodies[-1])


class Different(AssertionError):
    """The client's answer or the endpoint's request differs from the expected one."""


def same(field: str, actual: Any, wanted: Any) -> None:
    if actual != wanted:
        raise Different(f"{field}: {actual!r}, not {wanted!r}")


def check(got: Got, sent: Said, *, finish: str = "stop") -> None:
    """Compare the client's answer with the endpoint's."""
    same("text", got.text, sent.text)
    same("reasoning", got.reasoning, sent.reasoning)
    same("tool calls", got.calls, sent.calls)
    same("finish reason", got.finish, finish)
    same("input tokens", got.input_tokens, sent.input_tokens)
    same("cached tokens", got.cached_tokens, sent.cached_tokens)
    same("output tokens", got.output_tokens, sent.output_tokens)
    same("sources", got.sources, (sent.source,) if sent.source else ())


HELLO = Said("A clock tower.")
ONE_CALL = Said(calls=((TOOLS[0], {"id": 7}),))
TWO_CALLS = Said("Both.", calls=((TOOLS[0], {"id": 7}), (TOOLS[1], {"id": 8})))
THOUGHT = Said("A clock tower.", reasoning="It stands on a hill.")


def plain_answer(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(HELLO)).ask(), HELLO)
    same("question", QUESTION in wire.asked.texts, True)


def stream(wire: Wire) -> None:
    check(wire.playing(wire.dialect.streamed(HELLO)).ask(stream=True), HELLO)


def tools(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(ONE_CALL)).ask(tools=True), ONE_CALL, finish="tools")
    same("tools", wire.asked.tools, TOOLS)
    check(wire.playing(wire.dialect.streamed(ONE_CALL)).ask(tools=True, stream=True), ONE_CALL, finish="tools")
    check(wire.playing(wire.dialect.whole(HELLO)).answer_tool(), HELLO)
    same("tool result", wire.asked.results, ((CALL_ID, RESULT),))


def parallel_tools(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(TWO_CALLS)).ask(tools=True), TWO_CALLS, finish="tools")
    check(wire.playing(wire.dialect.streamed(TWO_CALLS)).ask(tools=True, stream=True), TWO_CALLS, finish="tools")


def json_schema(wire: Wire) -> None:
    sent = Said(json.dumps({"city": "Graz", "days": 3}))
    got = wire.playing(wire.dialect.whole(sent)).parse()
    check(got, sent)
    same("parsed", got.parsed, Place(city="Graz", days=3))
    schema = wire.asked.schema or {}
    same("schema", set(schema.get("properties", ())), {"city", "days"})


def images(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(HELLO)).ask(file="image"), HELLO)
    same("images", wire.asked.images, (IMAGE,))


def documents(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(HELLO)).ask(file="document"), HELLO)
    same("documents", wire.asked.documents, (DOCUMENT,))


def citations(wire: Wire) -> None:
    sent = HELLO._replace(source="https://example.com/graz")
    check(wire.playing(wire.dialect.whole(sent)).ask(), sent)
    check(wire.playing(wire.dialect.streamed(sent)).ask(stream=True), sent)


def reasoning(wire: Wire) -> None:
    check(wire.playing(wire.dialect.whole(THOUGHT)).ask(think=True), THOUGHT)
    same("asked to think", wire.asked.reasons, True)
    check(wire.playing(wire.dialect.streamed(THOUGHT)).ask(think=True, stream=True), THOUGHT)


def cache_usage(wire: Wire) -> None:
    sent = HELLO._replace(input_tokens=1000, cached_tokens=900)
    check(wire.playing(wire.dialect.whole(sent)).ask(), sent)
    check(wire.playing(wire.dialect.streamed(sent)).ask(stream=True), sent)


def errors(wire: Wire) -> None:
    for stream in (False, True):
        failing = wire.playing(wire.dialect.error(400, "the moon is not a number"))
        error = raised(failing, stream=stream)
        same("status", getattr(error, "status_code", None), 400)
        same("text of the error", "the moon is not a number" in str(error), True)
    raised(wire.playing(wire.dialect.error(500, "out of order")), stream=False)


def cut_stream(wire: Wire) -> None:
    raised(wire.playing(wire.dialect.streamed(HELLO, cut=True)), stream=True)


def raised(client: Client, *, stream: bool) -> Exception:
    """The SDK's error. Raises: Different if there is none, or another exception."""
    try:
        client.ask(stream=stream)
    except client.error as error:
        return error
    except Exception as error:
        raise Different(f"{type(error).__name__} is no error of the SDK: {error}") from error
    raise Different("no error")


FEATURES: dict[str, Callable[[Wire], None]] = {
    "plain": plain_answer,
    "stream": stream,
    "tools": tools,
    "parallel tools": parallel_tools,
    "JSON schema": json_schema,
    "images": images,
    "documents": documents,
    "citations": citations,
    "reasoning": reasoning,
    "cache usage": cache_usage,
    "errors": errors,
    "cut stream": cut_stream,
}


class Cell(NamedTuple):
    """Verdict of one cell."""

    client: str
    endpoint: str
    feature: str
    verdict: str
    """`pass`, `refused` or `fail`."""
    why: str = ""


def judge(name: str, feature: Callable[[Wire], None], wire: Wire) -> Cell:
    cell = wire.client.name, wire.dialect.name, name
    requests_before = len(wire.server.bodies)
    try:
        feature(wire)
    except wire.client.error as error:
        # The endpoint was not asked, and the message names the reason.
        refused = getattr(error, "status_code", None) == 400 and len(wire.server.bodies) == requests_before
        return Cell(*cell, "refused" if refused else "fail", str(error))
    except Exception as error:  # noqa: BLE001 - whatever an SDK or a check raises is a verdict
        frame = traceback.extract_tb(error.__traceback__)[-1]
        detail = "" if isinstance(error, Different) else f" ({Path(frame.filename).name}:{frame.lineno})"
        return Cell(*cell, "fail", f"{type(error).__name__}: {error}{detail}")
    return Cell(*cell, "pass")


def matrix() -> list[Cell]:
    """All cells: one router per endpoint dialect, with every client."""
    # The router signs with credentials from the usual AWS variables.
    os.environ.update(bedrock.ENVIRON)
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"kind": "anthropic", "model": "claude-haiku-4-5"},
        {"kind": "bedrock", "model": "us.amazon.nova-2-lite-v1:0", "region": bedrock.REGION, "api_key_env": None},
    )
    cells = []
    for kind, dialect in zip(kinds, UPSTREAMS, strict=True):
        with RawUpstream() as server, tempfile.TemporaryDirectory() as folder:
            if kind.get("kind") == "bedrock":
                server.refuse = bedrock.badly_signed
            path = "" if kind else "/v1"
            config = routing(
                [endpoint("it", f"http://127.0.0.1:{server.port}{path}", **kind)],
                serving={"max_retries": 0, "breaker": {"failures": 1000, "window_requests": 1000}},
            )
            with RunningRouter(config, Home(Path(folder))) as router:
                for make in CLIENTS:
                    wire = Wire(make(router.url), dialect, server)
                    cells += [judge(title, feature, wire) for title, feature in FEATURES.items()]
    return cells


def table(cells: list[Cell]) -> str:
    """Markdown table with a row for each pair of dialects."""
    rows = [["client", "endpoint", *FEATURES]]
    pairs = dict.fromkeys((cell.client, cell.endpoint) for cell in cells)
    rows += [[*pair, *(c.verdict for c in cells if (c.client, c.endpoint) == pair)] for pair in pairs]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    notes = [f"- {cell.client} to {cell.endpoint}, {cell.feature}: {cell.why}" for cell in cells if cell.why]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def with_table(page: str, new_table: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{new_table}\n\n{END}{rest.partition(END)[2]}"


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="change no file; fail if the page differs")
    options = parser.parse_args()
    cells = matrix()
    new_table = table(cells)
    page = PAGE.read_text(encoding="utf-8")
    wanted = with_table(page, new_table)
    failed = [cell for cell in cells if cell.verdict == "fail"]
    harness.show({"cells": [cell._asdict() for cell in cells], "failed": len(failed)}, options.json, [new_table])
    if options.check and page != wanted:
        sys.exit(f"{PAGE.relative_to(ROOT)} is outdated: run make bench-fidelity")
    if not options.check:
        PAGE.write_text(wanted, encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
