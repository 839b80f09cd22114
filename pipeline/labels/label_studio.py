"""Label Studio's JSON: tasks with predictions on the way out, annotations (or JSON-MIN) on the way in.

Rows of other tools are read in the same way: an id and a label.

Source: labelstud.io/guide/export and /guide/predictions, read 2026-11-23.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec

from pipeline.labels.files import label_text
from pipeline.labels.items import Item
from traffic.answers import labels_of
from traffic.callsites import Checks
from traffic.loose_json import json_or

_NOT_GIVEN = ("reject", "ignore", "discarded", "draft", "pending")
"""What other tools write beside a label that was not given (Prodigy's `answer`, Argilla's `status`)."""
_OF_PRODIGY = frozenset({"_input_hash", "accept"})
"""Fields of Prodigy's rows; elsewhere `answer` may be a model's."""
NAME = "label"
"""Name of the control in the labelling interface; it labels the data field `text`."""


def tasks(items: Iterable[Item], checks: Mapping[str, Checks]) -> bytes:
    """A file to import into a project: one task per item, one prediction per candidate. `checks`: by call site."""
    task_list = [
        {
            "data": {"record_id": item.record_id, "call_site": item.call_site, "text": item.text},
            "predictions": [
                {"model_version": name, "result": [_result(answer, checks[item.call_site])]}
                for name, answer in {"suggested": item.suggested, **item.answers}.items()
            ],
        }
        for item in items
    ]
    return msgspec.json.format(msgspec.json.encode(task_list), indent=1) + b"\n"


def interface(labels: Sequence[str], *, several: bool) -> str:
    """The labelling interface to paste into the project's settings: a choice of labels, or a text field without any.

    `several`: more than one label may be chosen.
    """
    lines = ["<View>", '  <Text name="text" value="$text"/>']
    if labels:
        choice = "multiple" if several else "single"
        lines.append(f'  <Choices name="{NAME}" toName="text" choice="{choice}" required="true">')
        lines += [f"    <Choice value={quoteattr(label)}/>" for label in labels]
        lines.append("  </Choices>")
    else:
        lines.append(f'  <TextArea name="{NAME}" toName="text" maxSubmissions="1" required="true"/>')
    return "\n".join([*lines, "</View>", ""])


def _result(answer: str, checks: Checks) -> dict[str, Any]:
    kind, field = ("choices", "choices") if checks.labels else ("textarea", "text")
    return {"from_name": NAME, "to_name": "text", "type": kind, "value": {field: list(labels_of(answer, checks))}}


def record_id(task: Mapping[str | None, Any]) -> str | None:
    """The record that a task or row of an export is about; `id` is Label Studio's own number where both are given."""
    fields = next((inside for key in ("data", "meta") if isinstance(inside := task.get(key), dict)), task)
    value = fields.get("record_id") or (fields.get("id") if "annotations" not in fields else None)
    return value if isinstance(value, str) and value else None


def label(task: Mapping[str | None, Any]) -> str | None:
    """The annotators' label, several as a JSON list; None without one.

    Raises: ValueError if they disagree, or if it is not clear which control of the interface has the label.
    """
    answer = None if _OF_PRODIGY.isdisjoint(task) else task.get("answer")
    if answer in _NOT_GIVEN or task.get("status") in _NOT_GIVEN:
        return None
    if "annotations" not in task:
        return _text(_choices(task[NAME] if NAME in task else task.get("accept")))
    annotations = [each for each in task["annotations"] if not each.get("was_cancelled")]
    # A reviewer's choice stands for all.
    reviewed = [each for each in annotations if each.get("ground_truth")]
    votes = Counter(
        filter(None, (_text(sorted(_chosen(each.get("result") or []))) for each in reviewed or annotations))
    )
    if not votes:
        return None
    first, *others = votes.most_common(2)
    if others and others[0][1] == first[1]:
        raise ValueError(f"annotators disagree: {first[0]!r}, {others[0][0]!r}")
    return first[0]


def _chosen(results: Sequence[dict[str, Any]]) -> set[str]:
    """All labels of one annotation: of the control NAME, or of the only one in an interface of the user's own."""
    choices, texts = defaultdict[str, list[Any]](list), defaultdict[str, list[Any]](list)
    for result in results:
        value, name = result.get("value") or {}, str(result.get("from_name"))
        if chosen := value.get("choices") or [path[-1] for path in value.get("taxonomy") or ()]:
            choices[name] += chosen
        elif "text" in value:
            texts[name] += _choices(value["text"])
    # Beside a choice, a text is a remark.
    controls = choices or texts
    if NAME not in controls and len(controls) > 1:
        raise ValueError(f"no control named {NAME!r}, but {', '.join(sorted(controls))}")
    return set(map(label_text, controls.get(NAME, next(iter(controls.values()), []))))


def _choices(value: Any) -> list[Any]:
    """The labels of a control, a field or a cell."""
    if isinstance(value, str) and value.startswith('{"choices"'):
        value = json_or(value, value)
    if isinstance(value, dict) and not {"choices", "text"}.isdisjoint(value):
        value = value.get("choices") or value.get("text")
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(labels: Sequence[Any]) -> str | None:
    texts = [text for label in labels if (text := label_text(label))]
    return msgspec.json.encode(texts).decode() if len(texts) > 1 else next(iter(texts), None)
