"""Fast path for the usual chat completion, a single text: decoding to structs takes a third of the time of a tree.

Everything else (tool calls, reasoning, a refusal, several choices, an error, a field of another type) gives None and is
parsed by `router.wire.openai`.
"""

from typing import Annotated, Any, Literal

import msgspec

from traffic.confidence import Signals, of_best_rivals
from traffic.record import Output, Usage
from traffic.usage import usage_of

Empty = Annotated[list[Any], msgspec.Meta(max_length=0)]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """All known fields except the text must be empty."""

    content: str
    role: str = "assistant"
    refusal: None = None
    annotations: Empty | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Empty | None = None
    reasoning: None = None
    reasoning_content: None = None


class Choice(msgspec.Struct):
    message: Message
    finish_reason: Literal["stop", "length", "content_filter"]
    """Other spellings are parsed elsewhere."""
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class Completion(msgspec.Struct):
    choices: Annotated[list[Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: dict[str, Any] | None = None
    error: None = None

    @property
    def output(self) -> Output:
        choice = self.choices[0]
        return Output(choice.message.content, None, choice.finish_reason)

    @property
    def counted(self) -> Usage | None:
        return usage_of(self.usage)


class Rival(msgspec.Struct):
    logprob: float
    token: str


class Token(msgspec.Struct):
    logprob: float
    token: str
    top_logprobs: list[Rival] | None = None

    @property
    def best_rival(self) -> float | None:
        """Highest log-probability of the alternatives, without the entry of the token itself."""
        best, skipped_itself = None, False
        for rival in self.top_logprobs or ():
            logprob = rival.logprob
            if not skipped_itself and logprob == self.logprob and rival.token == self.token:
                skipped_itself = True
            elif best is None or logprob > best:
                best = logprob
        return best


class Logprobs(msgspec.Struct):
    content: Annotated[list[Token], msgspec.Meta(min_length=1)]


_LOGPROBS = b'"logprobs":'
_decode = msgspec.json.Decoder(Completion).decode
_decode_logprobs = msgspec.json.Decoder(Logprobs).decode


def read(body: bytes) -> Completion | None:
    """The completion; None if it has another form."""
    # Lone surrogates, also in fields that are skipped here, are replaced for the client. (`in` is slow for bytes.)
    if body.find(b"\\ud") >= 0 or body.find(b"\\uD") >= 0:
        return None
    try:
        body.decode()
        completion = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return completion if completion.choices[0].message.content else None


def judged(completion: Completion, body: bytes) -> tuple[Signals | None, bytes] | None:
    """Signals and body without log-probabilities; None if they have another form."""
    raw = bytes(completion.choices[0].logprobs)
    # Matches neither inside a string, where quotes are escaped, nor a field of that name elsewhere.
    key = body.find(_LOGPROBS)
    start = body.find(b"{", key)
    if key < 0 or not body.startswith(raw, start) or body.find(_LOGPROBS, start + len(raw)) >= 0:
        return None
    try:
        tokens = _decode_logprobs(raw).content
    except msgspec.MsgspecError:
        return None
    signals = of_best_rivals([(token.logprob, token.best_rival) for token in tokens])
    return signals, b"".join((body[:start], b"null", body[start + len(raw) :]))
