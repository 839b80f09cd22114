"""Items to label: the rows of a split with the answer of each candidate."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow.parquet as pq

from pipeline import dataset as datasets
from traffic import artifacts, classifiers
from traffic.artifacts import Home
from traffic.checks import parse_json


class Item(NamedTuple):
    """One request to label."""

    record_id: str
    call_site: str
    text: str
    """The variable part of the request, redacted as in the dataset."""
    suggested: str
    """The most frequent answer of the candidates; the dataset's own answer in a tie."""
    answers: dict[str, str]
    """By candidate, without candidates that failed on the item."""


def load(folder: Path, split: str, answers: Mapping[str, Mapping[str, str]]) -> list[Item]:
    """The split's rows in time order. `answers`: by candidate and record id."""
    items = []
    for row in datasets.read_split(folder, split).to_pylist():
        suggestions = {name: by_id[row["record_id"]] for name, by_id in answers.items() if row["record_id"] in by_id}
        dataset_answer = row["completion"][0]["content"]
        counts = Counter([*suggestions.values(), dataset_answer])
        suggested = max([dataset_answer, *suggestions.values()], key=lambda text: counts[text])
        items.append(
            Item(row["record_id"], row["call_site"], classifiers.text_of(row["prompt"]), suggested, suggestions)
        )
    return items


def candidates_answers(home: Home, dataset: str, split: str) -> dict[str, dict[str, str]]:
    """Answers by candidate and record id, from each candidate's newest evaluation of this split."""
    newest: dict[str, Path] = {}
    for evaluation in artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split):
        newest.setdefault(str(evaluation.head.candidate), evaluation.path)
    answers = {}
    for name in sorted(newest):
        table = pq.read_table(newest[name] / "predictions.parquet", columns=["record_id", "output"])
        answers[name] = {
            record_id: output.strip()
            for record_id, output in zip(*(column.to_pylist() for column in table.columns), strict=True)
            if output is not None
        }
    return answers


def disagree(item: Item, candidates: int) -> bool:
    """Whether two candidates differ on the item; an answer differs from no answer."""
    return len({canonical(answer) for answer in item.answers.values()}) > 1 or 0 < len(item.answers) < candidates


def sample(items: Sequence[Item], count: int | None) -> list[Item]:
    """At most `count` items, chosen by a hash of their ids, in the given order."""
    if count is None or count >= len(items):
        return list(items)
    drawn = sorted(items, key=lambda item: hashlib.blake2b(item.record_id.encode(), digest_size=8).digest())[:count]
    keep = {item.record_id for item in drawn}
    return [item for item in items if item.record_id in keep]


def canonical(answer: str) -> str:
    """Canonical text of an answer: JSON without whitespace and with sorted keys."""
    if not answer.startswith(("{", "[")):
        return answer
    try:
        return msgspec.json.encode(parse_json(answer), order="sorted").decode()
    except ValueError:
        return answer
