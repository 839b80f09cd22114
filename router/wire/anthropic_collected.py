"""Assembles a message from a stream that the server sent although no stream was requested."""

from router.wire.errors import error_in
from router.wire.protocol import StatedError, Unreadable
from router.wire.sse import StreamReader
from traffic.loose_json import NotJson, Tree, index, loads, text, tree
from traffic.tool_calls import arguments_tree
from traffic.usage import UsageCounter

_GROWING = {"text_delta": "text", "thinking_delta": "thinking"}


def collected(body: bytes) -> Tree:
    """The message of a stream. Raises: Unreadable if the stream was cut or contains an error."""
    reader, message, usage = StreamReader(), Tree(), UsageCounter()
    blocks: dict[int, Tree] = {}
    inputs: dict[int, str] = {}
    for event in [*reader.events(body), *reader.close()]:
        if not event.data:
            continue
        try:
            event_tree = tree(loads(event.data))
        except NotJson:
            raise Unreadable("an event of the stream is not JSON") from None
        kind, position = event_tree.get("type"), index(event_tree.get("index")) or 0
        if kind == "error" or event.name == b"error":
            raise StatedError(error_in(event_tree, named=True) or "", event_tree)
        if kind == "message_start":
            message = dict(tree(event_tree.get("message")))
            usage.add(message.get("usage"))
        elif kind == "content_block_start":
            blocks[position] = dict(tree(event_tree.get("content_block")))
        elif kind == "content_block_delta" and position in blocks:
            _grow(blocks[position], tree(event_tree.get("delta")), inputs, position)
        elif kind == "message_delta":
            message |= tree(event_tree.get("delta"))
            usage.add(event_tree.get("usage"))
    if message.get("stop_reason") is None:
        raise Unreadable("cut: the stream ended without a stop reason")
    for position, arguments in inputs.items():
        blocks[position]["input"] = arguments_tree(arguments)
    return message | {"content": [blocks[position] for position in sorted(blocks)], "usage": usage.counts}


def _grow(block: Tree, delta: Tree, inputs: dict[int, str], position: int) -> None:
    kind = delta.get("type")
    key = _GROWING.get(text(kind))
    if key is not None:
        block[key] = text(block.get(key)) + text(delta.get(key))
    elif kind == "signature_delta":
        block["signature"] = text(delta.get("signature"))
    elif kind == "citations_delta":
        citations = block.get("citations")
        block["citations"] = [*(citations if isinstance(citations, list) else ()), delta.get("citation")]
    elif kind == "input_json_delta" and text(delta.get("partial_json")):
        inputs[position] = inputs.get(position, "") + delta["partial_json"]
