"""One request to an endpoint: refusals and the API key."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from router.upstream import AttemptFailed, AttemptTimeout, Deadlines, Upstream, refusal
from traffic.tiers import Endpoint

HEAD = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
BODY = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'


def refused(parts: list[bytes], key: str = "secret", sent: bytes = b"{}") -> tuple[AttemptFailed, bytes]:
    """The outcome for a server that sends its answer in these parts, and the request head it received."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        for part in parts:
            writer.write(part)
            await writer.drain()
            # The client runs in this loop too: it takes each part before the next one is sent.
            for _ in range(20):
                await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()

    async def ask() -> AttemptFailed:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            endpoint = Endpoint(name="e", kind="openai", base_url=url, model="m", api_key_env="KEY")
            upstream = Upstream({"KEY": key})
            headers = {"authorization": f"Bearer {upstream.key(endpoint)}"}
            try:
                with pytest.raises(AttemptFailed) as failure, upstream.time_limit(5.0):
                    await upstream.post(endpoint, sent, 5.0, path="/chat/completions", headers=headers)
            finally:
                upstream.close()
            return failure.value

    return asyncio.run(ask()), heads[0]


def test_an_error_body_that_arrives_in_chunks_is_read_completely() -> None:
    failure, _ = refused([HEAD, BODY[:20], BODY[20:]])
    assert (failure.status, failure.body, failure.outcome.refusal) == (400, BODY, "context_length")


def test_an_error_that_repeats_the_request_is_not_about_our_account() -> None:
    text = "my account has been suspended by the bank"
    body = msgspec.json.encode({"error": {"message": f"Invalid value: {text}"}})
    failure, _ = refused([HEAD, body], sent=msgspec.json.encode({"messages": [{"role": "user", "content": text}]}))
    assert (failure.outcome.kind, failure.outcome.refusal) == ("refused", None)


def test_a_trailing_line_end_of_a_key_is_not_sent() -> None:
    _, head = refused([HEAD + BODY], key="secret\n")
    assert b"authorization: bearer secret\r\n" in head.lower()


def test_a_timeout_ends_only_attempts_that_exceed_it() -> None:
    async def stalling(limit: AttemptTimeout) -> None:
        with limit:
            limit.begun()
            for _ in range(4):
                await asyncio.sleep(0.02)
                limit.alive()
            await asyncio.sleep(5)

    async def run() -> None:
        deadlines = Deadlines()
        with AttemptTimeout(deadlines, 5.0):
            await asyncio.sleep(0)
        with pytest.raises(AttemptFailed, match="no answer within"), AttemptTimeout(deadlines, 0.01):
            await asyncio.sleep(5)
        with pytest.raises(AttemptFailed, match="no further token within"):
            await stalling(AttemptTimeout(deadlines, 5.0, 0.02, 0.05))
        # The client's slowness is not the endpoint's.
        with AttemptTimeout(deadlines, 0.02) as paused:
            await paused.pausing(asyncio.sleep(0.06))
            await asyncio.sleep(0)

    asyncio.run(run())


def test_each_attempt_has_its_own_timeout() -> None:
    async def attempt(deadlines: Deadlines, seconds: float, over: list[float]) -> None:
        with pytest.raises(AttemptFailed), AttemptTimeout(deadlines, seconds):
            await asyncio.sleep(5)
        over.append(seconds)

    async def run() -> list[float]:
        deadlines, over = Deadlines(), list[float]()
        limits = (0.12, 0.03, 0.09, 0.06)
        await asyncio.gather(*(attempt(deadlines, seconds, over) for seconds in limits))
        # One that is over leaves the timer for those that come later.
        with AttemptTimeout(deadlines, 0.03):
            pass
        await attempt(deadlines, 0.06, over)
        return over

    assert asyncio.run(run()) == [0.03, 0.06, 0.09, 0.12, 0.06]


async def _cancel(attempt: Coroutine[Any, Any, None]) -> None:
    """Starts the attempt and cancels it from outside. Fails if it ends otherwise."""
    task = asyncio.create_task(attempt)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_external_cancellation_is_not_a_timeout() -> None:
    async def attempt() -> None:
        with AttemptTimeout(Deadlines(), 5.0):
            await asyncio.sleep(5)

    asyncio.run(_cancel(attempt()))


def test_silence_behind_a_complete_answer_is_forgiven() -> None:
    async def run() -> bool:
        with AttemptTimeout(Deadlines(), 5.0, 5.0, 0.02) as limit:
            limit.begun()
            limit.ending()
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                return limit.forgive()
        return False

    assert asyncio.run(run())


def test_an_external_cancellation_is_not_forgiven() -> None:
    async def attempt() -> None:
        with AttemptTimeout(Deadlines(), 5.0, 5.0, 5.0) as limit:
            limit.ending()
            try:
                await asyncio.sleep(5)
            finally:
                assert not limit.forgive()

    asyncio.run(_cancel(attempt()))


def test_a_cancellation_beside_an_expired_limit_is_not_a_timeout() -> None:
    async def attempt() -> None:
        with AttemptTimeout(Deadlines(), 5.0, 5.0, 5.0) as limit:
            limit.expire()
            try:
                await asyncio.sleep(5)
            finally:
                assert not limit.forgive()

    async def run() -> None:
        task = asyncio.create_task(attempt())
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


@pytest.mark.parametrize(
    "status, message, kind",
    [
        (400, "Too many requests, please wait", "throttled"),
        (403, "Rate limit exceeded", "throttled"),
        (500, "request (9 tokens) exceeds the available context size", "refused"),
        (500, "out of memory", "failed"),
        (501, "request (9 tokens) exceeds the available context size", "failed"),
        (400, "messages is empty", "refused"),
    ],
)
def test_an_error_is_judged_by_what_it_says(status: int, message: str, kind: str) -> None:
    body = msgspec.json.encode({"error": {"message": message}})
    assert refusal(status, body).outcome.kind == kind
