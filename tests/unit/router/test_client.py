"""The client's side of an exchange."""

import asyncio
from typing import Any

import pytest

from router.client import EVENTS, AsgiClient, header_list


def test_header_values_contain_no_control_characters_or_line_ends() -> None:
    assert header_list({b"x-a": "caf\u00e9 \x00\x1b[1m\x7f\r\nb", b"x-b": 2}) == [
        (b"x-a", b"caf\\xe9 \\x00\\x1b[1m\\x7f b"),
        (b"x-b", b"2"),
    ]


@pytest.mark.parametrize("version, bodies, sized", [("1.1", [b"a", b"b", b"c"], False), ("1.0", [b"abc"], True)])
def test_a_stream_to_an_http_1_0_client_is_sent_with_its_length(version: str, bodies: list[bytes], sized: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def stream() -> None:
        client = AsgiClient({"http_version": version}, _nothing, send)
        await client.start(200, EVENTS, [])
        await client.write(b"a")
        await client.write(b"b")
        await client.end(b"c")

    asyncio.run(stream())
    assert [message["body"] for message in sent[1:]] == bodies
    assert ((b"content-length", b"3") in sent[0]["headers"]) is sized


async def _nothing() -> Any:
    raise AssertionError
