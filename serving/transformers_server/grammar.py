"""Constrained decoding (label sets, JSON, regular expressions) with xgrammar, as in vLLM."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import xgrammar
from xgrammar import GrammarMatcher

from traffic.errors import InputError

Constraint = tuple[str, str]
"""Kind (`choice`, `json_schema`, `json_object`, `regex`, `grammar`) and its definition."""
CACHED_GRAMMARS = 256


class Grammars:
    """Compiles constraints for one tokenizer."""

    def __init__(self, tokenizer: Any, vocabulary: int, end: int) -> None:
        """`vocabulary`: width of the model's logits, which may exceed the tokenizer's. `end`: the end-of-turn token."""
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary, stop_token_ids=[end])
        self._compiler = xgrammar.GrammarCompiler(info)
        self._vocabulary = vocabulary
        self._compiled = lru_cache(CACHED_GRAMMARS)(self._compile)

    def matcher(self, constraint: Constraint) -> "Matcher":
        """The matcher of one answer. Raises: InputError for an invalid constraint."""
        return Matcher(GrammarMatcher(self._compiled(constraint)), self._vocabulary)

    def _compile(self, constraint: Constraint) -> Any:
        kind, text = constraint
        try:
            match kind:
                case "choice":
                    return self._compiler.compile_grammar(choice_grammar(json.loads(text)))
                case "json_schema":
                    return self._compiler.compile_json_schema(text)
                case "json_object":
                    return self._compiler.compile_builtin_json_grammar()
                case "regex":
                    return self._compiler.compile_regex(text)
                case _:
                    return self._compiler.compile_grammar(text)
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(f"structured output ({kind}) cannot be compiled: {error}") from None


def choice_grammar(choices: Sequence[str]) -> str:
    """EBNF that accepts exactly these answers."""
    return "root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)


class Matcher:
    """Allowed next tokens of one answer."""

    def __init__(self, matcher: GrammarMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._bits = xgrammar.allocate_token_bitmask(1, vocabulary)

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of one position, shape (vocabulary,), with disallowed tokens at minus infinity."""
        self._matcher.fill_next_token_bitmask(self._bits)
        masked = logits.cpu().clone()
        xgrammar.apply_token_bitmask_inplace(masked, self._bits[0])
        return masked.to(logits.device)

    @property
    def ended(self) -> bool:
        """Whether the answer is complete."""
        return bool(self._matcher.is_terminated())

    def accept(self, token: int) -> None:
        """Advance by the chosen token."""
        self._matcher.accept_token(token)
