"""Texts as sets of hashed character n-grams (shingles), and their Jaccard similarity.

Case, whitespace, word borders and most punctuation are ignored. Shingles of four characters also work for texts of
three words and for languages without spaces between words. Punctuation that changes the meaning counts: signs and
separators of numbers, `%`, `#`, `/`, `&`, `@`, emoticons.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LENGTH = 4
"""Characters per shingle. On short questions, 3 joins unlike questions, and 5 finds no more pairs."""

_HASH_BITS = 40
_HASH_MASK = np.uint64((1 << _HASH_BITS) - 1)
MAX_TEXTS = 1 << (64 - _HASH_BITS)

_TEXTS_AT_ONCE = 5_000
_PAIRS_AT_ONCE = 100_000
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MARK = 0xE000
"""Meaningful punctuation is moved to this private-use area of Unicode, which is not ignored."""
_MEANINGFUL = re.compile(
    r"""[%‰#/\\&@§]
    | (?<![\w)\]])[-\u2010-\u2015\u2212](?=[.,]?\d)          # a sign
    | \((?=[$€£¥]?\d[\d.,]*[%€]?\))                          # a negative amount, as accounts write it
    | (?<![\w!])!(?=[\w(=])                                  # a negation in code
    | (?<=\d)[.,:](?=\d) | (?<![\w.])\.(?=\d)               # decimals, thousands, times
    | (?<![\w])[:;=8xX]['’]?[-o^]?[()\[\]{}|*<>]+ | (?<!\w)[:;=][-o^]?[dDpPoO3](?!\w) | [()][-o^]?[:;=](?![\w])
    | \^[_.-]*\^ | <3 | -[_.]+-                               # emoticons
    """,
    re.VERBOSE,
)
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Joiners are not among them: emoji and some scripts are other texts without them."""
_RAISED = re.compile(r"(?<=[0-9])[⁰¹²³⁴-⁹⁻₀-₉]+")
_NUMBER = re.compile(r"[\ue02d\ue028]?\d+(?:[\ue000-\ue07f^]\d+)*[\ue025]?")


class Shingles(NamedTuple):
    """Shingle sets of many texts, in one sorted array; 8 bytes a shingle."""

    keys: NDArray[np.uint64]
    """24 bits for the text's index, then 40 bits of the shingle's hash."""
    starts: NDArray[np.int64]
    """The shingles of text `n` are `keys[starts[n]:starts[n + 1]]`."""
    numbers: NDArray[np.uint64]
    """Hash of the numbers of each text in order, with signs and separators."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        return self.hashes_of(0, len(self.keys))

    def hashes_of(self, start: int, end: int) -> NDArray[np.uint64]:
        return self.keys[start:end] & _HASH_MASK

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


@lru_cache(maxsize=1)
def _ignored() -> dict[int, None]:
    """Punctuation, separators and control characters; symbols such as + and emoji have a meaning and are kept."""
    kinds = {"Zs", "Zl", "Zp", "Cc", "Cf"}
    codes = range(sys.maxunicode + 1)
    return {n: None for n in codes if (kind := unicodedata.category(chr(n))) in kinds or kind[0] == "P"}


def plain(text: str) -> str:
    """The text without case, whitespace and meaningless punctuation; unchanged if nothing would be left."""
    return _marked(text).translate(_ignored()) or text


def spelled(text: str) -> str:
    """The text without regard to case, whitespace and invisible marks: equal texts ask the same to the last comma."""
    return " ".join(_folded(text).translate(_UNSEEN).casefold().split())


def _folded(text: str) -> str:
    """The text in compatibility form. Powers and indexes stay apart from the number in front of them."""
    return text if text.isascii() else unicodedata.normalize("NFKC", _RAISED.sub(r"^\g<0>", text))


def _marked(text: str) -> str:
    folded = _folded(text)
    return _MEANINGFUL.sub(_moved, folded.casefold())


def _moved(match: re.Match[str]) -> str:
    # Hyphens and dashes in front of a number are one sign.
    return "".join(c if c.isalnum() else chr(_MARK + (ord(c) if ord(c) < 0x80 else 0x2D)) for c in match.group())


def numbers_of(text: str) -> str:
    """The numbers in a text with their signs and separators: 45, -45 and 4.5 are three."""
    return "|".join(_NUMBER.findall(_marked(text)))


def shingles(texts: Sequence[str]) -> Shingles:
    """The shingle set of each text. Raises: ValueError for more than 16 million texts."""
    if len(texts) > MAX_TEXTS:
        raise ValueError(f"{len(texts)} texts, at most {MAX_TEXTS}")
    parts: list[NDArray[np.uint64]] = []
    numbers: list[int] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        plains = [plain(text) for text in texts[start : start + _TEXTS_AT_ONCE]]
        parts.extend(_sets(plains, start))
        numbers.extend(_fnv(numbers_of(text)) for text in texts[start : start + _TEXTS_AT_ONCE])
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=starts[1:])
    keys = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    return Shingles(keys, starts, np.array(numbers, np.uint64))


def _sets(texts: Sequence[str], first: int) -> Iterator[NDArray[np.uint64]]:
    padded = [text.ljust(LENGTH, "\0") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    windows = np.zeros(max(0, len(codes) - LENGTH + 1), np.uint64)
    for n in range(LENGTH):
        windows = (windows + codes[n : n + len(windows)]) * _MULTIPLIER
        windows ^= windows >> np.uint64(29)
    windows &= _HASH_MASK
    start = 0
    for number, text in enumerate(padded, start=first):
        # The windows that reach into the next text are left out.
        yield np.unique(windows[start : start + len(text) - LENGTH + 1]) | np.uint64(number << _HASH_BITS)
        start += len(text)


@lru_cache(maxsize=65_536)
def _fnv(text: str) -> int:
    """FNV-1a: Python's own hash differs from process to process."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def jaccard(shingles: Shingles, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Jaccard similarity of each pair of texts (shape n x 2)."""
    hashes, sizes = shingles.hashes, shingles.sizes
    result = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        first, second = pairs[start : start + _PAIRS_AT_ONCE].T
        swap = sizes[first] > sizes[second]
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        positions = spans(shingles.starts[first], sizes[first])
        pair = np.repeat(np.arange(len(first)), sizes[first])
        keys = (second[pair].astype(np.uint64) << np.uint64(_HASH_BITS)) | hashes[positions]
        at = np.minimum(np.searchsorted(shingles.keys, keys), len(shingles.keys) - 1)
        shared = np.bincount(pair[shingles.keys[at] == keys], minlength=len(first))
        result[start : start + len(first)] = shared / (sizes[first] + sizes[second] - shared)
    return result


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenated ranges `start .. start + length - 1`."""
    offsets = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - offsets, lengths), np.int64)
