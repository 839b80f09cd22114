"""A log with every word replaced by a made-up one, the same everywhere: what the wording of a log says is gone.

    python -m benchmarks.disguise LOG.jsonl.gz DISGUISED.jsonl.gz
    python -m benchmarks.open_log --routing-only --log DISGUISED.jsonl.gz --gold GOLD.jsonl.gz

Structure, digits, punctuation and fenced program text stay. Reads LiteLLM rows; a line that is no JSON is copied.
"""

import argparse
import gzip
import json
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

_WORD = re.compile(r"[^\W\d_]{2,}")
_FENCE = re.compile(r"(```.*?```)", re.DOTALL)
_LITERALS = ("true", "false", "null")
_LETTERS = ("bcdfghjklmnprstvz", "aeiou")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("disguised", type=Path)
    options = parser.parse_args()
    # Half a character in a damaged line stays as it is.
    errors = "surrogateescape"
    with (
        gzip.open(options.log, "rt", encoding="utf-8", errors=errors) as lines,
        gzip.open(options.disguised, "wt", encoding="utf-8", errors=errors) as out,
    ):
        for line in lines:
            out.write(disguised_line(line))


def disguised_line(line: str) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        return line
    response = row.get("response") or {}
    choices = response.get("choices") or [] if isinstance(response, dict) else []
    messages = row.get("messages")
    for message in [*(messages if isinstance(messages, list) else []), *(c.get("message") or {} for c in choices)]:
        message["content"] = _content(message.get("content"))
    for tool in (row.get("model_parameters") or {}).get("tools") or []:
        function = tool.get("function") or {}
        function["description"] = _content(function.get("description"))
    return json.dumps(row, ensure_ascii=False) + "\n"


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return disguised(content)
    if isinstance(content, list):
        return [part | {"text": disguised(part["text"])} if "text" in part else part for part in content]
    return content


def disguised(text: str) -> str:
    """The text with its words replaced."""
    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _WORD.sub(lambda m: _cased(m[0]), part) for part in parts)


def _cased(word: str) -> str:
    if word in _LITERALS:
        return word
    replacement = _made_up(word.lower())
    return replacement.upper() if word.isupper() else replacement.capitalize() if word[0].isupper() else replacement


@cache
def _made_up(word: str) -> str:
    """Of the same length, from the word's hash."""
    digest = sha256(word.encode()).digest()
    return "".join(
        letters[digest[n % len(digest)] % len(letters)] for n in range(len(word)) for letters in [_LETTERS[n % 2]]
    )


if __name__ == "__main__":
    main()
