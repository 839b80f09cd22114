"""Label Studio's JSON: tasks with predictions on the way out, annotations (or JSON-MIN) on the way in.

Source: labelstud.io/guide/export and /guide/predictions, read 2026-11-23.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec

from pipeline.labels.files import label_text
from pipeline.labels.items import Item

NAME = "label"
"""Name of the control in the labelling interface; it labels the data field `text`."""


def tasks(items: Iterable[Item], *, closed: bool) -> bytes:
    """A file to import into a project: one task per item, one prediction per candidate. `closed`: labels of a set."""
    task_list = [
        {
            "data": {"record_id": item.record_id, "call_site": item.call_site, "text": item.text},
            "predictions": [
                {"model_version": name, "result": [_result(answer, closed=closed)]}
                for name, answer in {"suggested": item.suggested, **item.answers}.items()
            ],
        }
        for item in items
    ]
    return msgspec.json.format(msgspec.json.encode(task_list), indent=1) + b"\n"


def interface(labels: Sequence[str]) -> str:
    """The labelling interface to paste into the project's settings: a choice of labels, or a text field without any."""
    lines = ["<View>", '  <Text name="text" value="$text"/>']
    if labels:
        lines.append(f'  <Choices name="{NAME}" toName="text" choice="single" required="true">')
        lines += [f"    <Choice value={quoteattr(label)}/>" for label in labels]
        lines.append("  </Choices>")
    else:
        lines.append(f'  <TextArea name="{NAME}" toName="text" maxSubmissions="1" required="true"/>')
    return "\n".join([*lines, "</View>", ""])


def _result(answer: str, *, closed: bool) -> dict[str, Any]:
    kind, value = ("choices", {"choices": [answer]}) if closed else ("textarea", {"text": [answer]})
    return {"from_name": NAME, "to_name": "text", "type": kind, "value": value}


def record_id(task: dict[str, Any]) -> str | None:
    """The record that a task of an export is about."""
    data = task.get("data")
    value = data.get("record_id") if isinstance(data, dict) else task.get("record_id")
    return value if isinstance(value, str) and value else None


def label(task: dict[str, Any]) -> str | None:
    """The annotators' label; None without one. Raises: ValueError if they disagree or gave several labels."""
    if "annotations" not in task:
        value = task.get(NAME)
        if isinstance(value, dict | list):
            raise ValueError(f"more than one {NAME!r} in it")
        return None if value is None else label_text(value) or None
    votes: Counter[str] = Counter()
    for annotation in task["annotations"]:
        if not annotation.get("was_cancelled"):
            votes.update(_vote(annotation.get("result") or []))
    if not votes:
        return None
    first, *others = votes.most_common(2)
    if others and others[0][1] == first[1]:
        raise ValueError(f"annotators disagree: {first[0]!r}, {others[0][0]!r}")
    return first[0]


def _vote(results: Sequence[dict[str, Any]]) -> list[str]:
    labels: list[Any] = []
    for result in results:
        if result.get("from_name") == NAME:
            value = result.get("value") or {}
            labels += value.get("choices") or value.get("text") or []
    if len(labels) > 1:
        raise ValueError(f"{len(labels)} labels by one annotator: {', '.join(map(repr, labels[:3]))}")
    return [text for text in labels if isinstance(text, str) and text.strip()]
