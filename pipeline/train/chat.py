"""Conversations into token ids: what is trained on, in exactly the form in which it is asked when served.

The rows are tokenised here, not by TRL: it would patch some chat templates for training, and the
server does not. A row's labels are its completion up to and including the end-of-turn token, and
nothing after it (ChatML templates add a newline there, which a served model never gets to write).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from traffic.errors import InputError, Unsupported

IGNORED = -100
"""Label of a token that carries no loss (PyTorch's cross-entropy convention)."""

PINNED_DATE = "26 Jul 2024"
"""What Llama 3.1's own template says when nobody passes a date; Llama 3.2's would render today's."""

Turns = Sequence[Mapping[str, str]]


class Tokenizer(Protocol):
    """The slice of a `transformers` tokenizer that is used."""

    chat_template: Any
    eos_token: Any

    def apply_chat_template(
        self, conversation: Any, *, add_generation_prompt: bool, tokenize: bool, return_dict: bool
    ) -> Any: ...

    def convert_tokens_to_ids(self, tokens: Any) -> Any: ...


class Encoded(msgspec.Struct, frozen=True):
    """One row as token ids; the first `prompt_length` of them are the prompt."""

    ids: list[int]
    prompt_length: int

    @property
    def labels(self) -> list[int]:
        return [IGNORED] * self.prompt_length + self.ids[self.prompt_length :]

    @property
    def supervised(self) -> int:
        """Tokens that carry loss."""
        return len(self.ids) - self.prompt_length


def pin_template(template: str) -> str:
    """The chat template with its date fixed, so that training and serving render the same prompt.

    Raises: Unsupported if the template reads the clock in a way that cannot be fixed from outside.
    """
    if "date_string" in template:
        return '{%- set date_string = "' + PINNED_DATE + '" %}' + template
    if "strftime_now" in template:
        raise Unsupported("this model's chat template renders the current time into every prompt: give it a fixed one")
    return template


def template_sha256(template: str) -> str:
    """Hex digest under which adapter.yaml names the chat template."""
    return hashlib.sha256(template.encode()).hexdigest()


def load_tokenizer(path: str) -> Any:
    """The tokenizer of a folder with weights, its chat template pinned. Raises: InputError, Unsupported."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if not isinstance(tokenizer.chat_template, str):
        raise InputError(f"{path}: the tokenizer has no chat template; use an instruction-tuned model")
    tokenizer.chat_template = pin_template(tokenizer.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def encode(tokenizer: Tokenizer, prompt: Turns, completion: Turns) -> Encoded:
    """A prompt and its completion as token ids, cut after the end-of-turn token.

    Raises: InputError if the prompt's ids are no prefix of the whole (the model would be trained on a
        context that it never sees), or if the template writes no end-of-turn token (it would never stop).
    """
    prompt_ids = _ids(tokenizer, prompt, generate=True)
    whole = _ids(tokenizer, [*prompt, *completion], generate=False)
    if whole[: len(prompt_ids)] != prompt_ids:
        raise InputError(
            "the chat template renders a prompt differently once an answer follows it; "
            "train with a template that does not"
        )
    end = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    last = len(whole) - 1
    while last >= len(prompt_ids) and whole[last] != end:
        last -= 1
    if last < len(prompt_ids):
        raise InputError(
            f"the chat template does not end an answer with {tokenizer.eos_token!r}: the model would never stop"
        )
    return Encoded(whole[: last + 1], len(prompt_ids))


def encode_prompt(tokenizer: Tokenizer, prompt: Turns) -> list[int]:
    """The ids that a server feeds the model before it generates."""
    return _ids(tokenizer, prompt, generate=True)


def check_batch(
    ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], examples: Sequence[Mapping[str, Any]], end: int
) -> str | None:
    """What is wrong with a collated batch, or None: every completion and nothing else carries loss, its end included.

    `ids` and `labels` are the batch's tensors as lists, (batch, padded length). `examples` are the same rows before
    collation: `input_ids`, `labels` and, where several documents are packed into one, their `seq_lengths`.
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
        return f"{len(pairs)} tokens carry loss after collation, {len(expected)} did before, or not the same ones"
    return None


def _ids(tokenizer: Tokenizer, turns: Turns, *, generate: bool) -> list[int]:
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    return list(
        tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=True, return_dict=False)
    )
