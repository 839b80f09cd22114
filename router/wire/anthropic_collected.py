"""A message put together from a stream that came although none was asked for: every block as it was sent."""

from router.wire.errors import error_in
from router.wire.protocol import StatedError, Unreadable
from router.wire.sse import StreamReader
from traffic.loose_json import NotJson, Tree, index, loads, text, tree
from traffic.usage import UsageCounter

_GROWING = {"text_delta": "text", "thinking_delta": "thinking"}


def collected(body: bytes) -> Tree:
    """The message of a stream's events. Raises: Unreadable when it was cut, or holds an error."""
    reader, message, usage = StreamReader(), Tree(), UsageCounter()
    blocks: dict[int, Tree] = {}
    inputs: dict[int, str] = {}
    for event in [*reader.events(body), *reader.close()]:
        if not event.data:
            continue
        try:
            said = tree(loads(event.data))
        except NotJson:
            raise Unreadable("an event of the stream is no JSON") from None
        kind, place = said.get("type"), index(said.get("index")) or 0
        if kind == "error" or event.name == b"error":
            raise StatedError(error_in(said, named=True) or "", said)
        if kind == "message_start":
            message = dict(tree(said.get("message")))
            usage.add(message.get("usage"))
        elif kind == "content_block_start":
            blocks[place] = dict(tree(said.get("content_block")))
        elif kind == "content_block_delta" and place in blocks:
            _grow(blocks[place], tree(said.get("delta")), inputs, place)
        elif kind == "message_delta":
            message |= tree(said.get("delta"))
            usage.add(said.get("usage"))
    if message.get("stop_reason") is None:
        raise Unreadable("cut: the stream ended without a stop reason")
    for place, written in inputs.items():
        try:
            blocks[place]["input"] = loads(written.encode())
        except NotJson:
            raise Unreadable("the input of a tool is no JSON") from None
    return message | {"content": [blocks[place] for place in sorted(blocks)], "usage": usage.counts}


def _grow(block: Tree, delta: Tree, inputs: dict[int, str], place: int) -> None:
    kind = delta.get("type")
    key = _GROWING.get(text(kind))
    if key is not None:
        block[key] = text(block.get(key)) + text(delta.get(key))
    elif kind == "signature_delta":
        block["signature"] = text(delta.get("signature"))
    elif kind == "citations_delta":
        known = block.get("citations")
        block["citations"] = [*(known if isinstance(known, list) else ()), delta.get("citation")]
    elif kind == "input_json_delta" and text(delta.get("partial_json")):
        inputs[place] = inputs.get(place, "") + delta["partial_json"]
