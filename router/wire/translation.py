"""Parses requests of the dialects whose requests are converted to chat completions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from router.request import BadRequest, Body, ChatRequest, Dialect, chat_request
from router.wire.protocol import malformed
from traffic.loose_json import Tree, encode, tree

_decode_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Translation(ABC):
    """Converts one request body."""

    dialect: Dialect
    prompt: str
    """Parameter with the messages."""
    kept_headers: tuple[bytes, ...] = ()
    """Headers of the dialect that an endpoint of the same dialect gets."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        """Parameters without an equivalent."""
        self.left_out: list[str] = []
        """Dropped hints and optional tools, which have no equivalent."""

    @abstractmethod
    def body(self, sent: Tree) -> Tree:
        """The body as a chat completion request.

        Raises: BadRequest; KeyError, TypeError, AttributeError or ValueError for one that is malformed.
        """

    def request(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """The parsed request. Raises: BadRequest."""
        try:
            native = _decode_tree(data)
            sent: Tree = msgspec.json.decode(data)
        except msgspec.ValidationError as error:
            raise BadRequest(f"the body is not an object: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None
        try:
            translated = self.body(sent)
            body = msgspec.convert(translated, Body)
        except BadRequest:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, msgspec.ValidationError) as error:
            raise BadRequest(malformed(error)) from None
        if not body.messages:
            raise BadRequest(f"`{self.prompt}` is missing or empty")
        raw = {key: msgspec.Raw(encode(value)) for key, value in translated.items()}
        kept = {name.decode(): headers[name].decode("latin-1") for name in self.kept_headers if name in headers}
        return msgspec.structs.replace(
            chat_request(body, raw, tree(sent.get("metadata")), headers),
            dialect=self.dialect,
            native=native,
            native_headers=kept,
            untranslated=tuple(dict.fromkeys(self.missing)),
            left_out=tuple(dict.fromkeys(self.left_out)),
        )
