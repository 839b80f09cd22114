"""Conversations as token ids, in training exactly as in serving.

Rows are tokenised here, not by TRL, which patches some chat templates for training while the server does not. A row's
labels are its completion up to and including the end-of-turn token; ChatML templates add a newline after it, which a
served model never writes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from traffic.errors import InputError, Unsupported

IGNORED = -100
"""Label of a token that carries no loss (PyTorch's cross-entropy convention)."""

PINNED_DATE = "26 Jul 2024"
"""Default date in Llama 3.1's template; Llama 3.2's renders the current date."""

Turns = Sequence[Mapping[str, str]]


class Tokenizer(Protocol):
    """The part of a `transformers` tokenizer used here."""

    chat_template: Any
    eos_token: Any

    def apply_chat_template(
        self, conversation: Any, *, add_generation_prompt: bool, tokenize: bool, return_dict: bool
    ) -> Any: ...

    def convert_tokens_to_ids(self, tokens: Any) -> Any: ...


class Encoded(msgspec.Struct, frozen=True):
    """One row: the first `prompt_length` ids are the prompt."""

    ids: list[int]
    prompt_length: int

    @property
    def labels(self) -> list[int]:
        return [IGNORED] * self.prompt_length + self.ids[self.prompt_length :]

    @property
    def supervised(self) -> int:
        """Number of tokens that carry loss."""
        return len(self.ids) - self.prompt_length


def pin_template(template: str) -> str:
    """The chat template with a fixed date, so that training and serving render the same prompt.

    Raises: Unsupported if the template reads the clock directly.
    """
    if "date_string" in template:
        return '{%- set date_string = "' + PINNED_DATE + '" %}' + template
    if "strftime_now" in template:
        raise Unsupported("this model's chat template renders the current time into every prompt: give it a fixed one")
    return template


def template_sha256(template: str) -> str:
    """Hex digest of the chat template, as in adapter.yaml."""
    return hashlib.sha256(template.encode()).hexdigest()


def load_tokenizer(path: str) -> Any:
    """Tokenizer of a model folder with its chat template pinned. Raises: InputError, Unsupported."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if not isinstance(tokenizer.chat_template, str):
        raise InputError(f"{path}: the tokenizer has no chat template; use an instruction-tuned model")
    tokenizer.chat_template = pin_template(tokenizer.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def encode(tokenizer: Tokenizer, prompt: Turns, completion: Turns) -> Encoded:
    """Token ids of a prompt and its completion, up to the end-of-turn token.

    Raises: InputError if the prompt's ids are not a prefix of the whole (training would use a context that serving
        never has), or if the template writes no end-of-turn token (the model would never stop).
    """
    prompt_ids = _ids(tokenizer, prompt, generate=True)
    ids = _ids(tokenizer, [*prompt, *completion], generate=False)
    if ids[: len(prompt_ids)] != prompt_ids:
        raise InputError(
            "the chat template renders a prompt differently once an answer follows it; "
            "train with a template that does not"
        )
    end = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    last = len(ids) - 1
    while last >= len(prompt_ids) and ids[last] != end:
        last -= 1
    if last < len(prompt_ids):
        raise InputError(
            f"the chat template does not end an answer with {tokenizer.eos_token!r}: the model would never stop"
        )
    return Encoded(ids[: last + 1], len(prompt_ids))


def encode_prompt(tokenizer: Tokenizer, prompt: Turns) -> list[int]:
    """Token ids of a prompt, ready for generation."""
    return _ids(tokenizer, prompt, generate=True)


def check_batch(
    ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], examples: Sequence[Mapping[str, Any]], end: int
) -> str | None:
    """Problem with a collated batch, or None if exactly the completions carry loss, end-of-turn tokens included.

    `ids`, `labels`: the batch's tensors as lists, (batch, padded length). `examples`: the rows before collation, with
    `input_ids`, `labels` and, for packed documents, `seq_lengths`.
    """
    expected: list[int] = []
    for example in examples:
        start = 0
        for length in example.get("seq_lengths") or [len(example["input_ids"])]:
            document, marks = (example[key][start : start + length] for key in ("input_ids", "labels"))
            start += length
            prompt_length = next((i for i, mark in enumerate(marks) if mark != IGNORED), length)
            if marks[prompt_length:] != document[prompt_length:] or prompt_length in (0, length):
                return "labels are not the completion's own tokens"
            if marks[-1] != end:
                return "the end-of-turn token is outside the labels: the model would never stop"
            expected += marks[prompt_length:]
    pairs = [
        (token, label)
        for row, marks in zip(ids, labels, strict=True)
        for token, label in zip(row, marks, strict=True)
        if label != IGNORED
    ]
    if [label for _, label in pairs] != expected or any(token != label for token, label in pairs):
        return f"{len(pairs)} tokens carry loss after collation, expected {len(expected)}, or they differ"
    return None


def _ids(tokenizer: Tokenizer, turns: Turns, *, generate: bool) -> list[int]:
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    return list(
        tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=True, return_dict=False)
    )
