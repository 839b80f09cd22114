"""Formats the result of `open_log.py` for the terminal."""

from typing import Any

from benchmarks import gold_scores, routing_quality
from benchmarks.harness import table


def lines(result: dict[str, Any]) -> list[str]:
    rules = result["rules"]
    text = [
        (
            f"rules on {rules['requests']:,} requests: {rules['sent_low_share']:.2%} sent too low, "
            f"{rules['sent_high_share']:.2%} too high"
        ),
        *routing_quality.lines(result["routing"]),
        "",
        "personal data, the recognisers on the whole log",
        *_personal(result["personal_data"]),
    ]
    for name, task in result["tasks"].items():
        text += ["", f"== {'all of Tier 1' if name == '1' else name}: {task['extract']['dataset']}", *task_lines(task)]
    return text


def task_lines(task: dict[str, Any]) -> list[str]:
    """Lines on one task."""
    extract, faults, copies, drift = task["extract"], task["faults"], task["duplicates"], task["drift"]
    filters = [(f["name"], f["removed"], f["reason"]) for f in extract["filters"] if f["removed"]]
    billed = extract["prompt_tokens_logged"]
    text = [
        f"{extract['rows_considered']:,} attempts, {extract['rows']:,} rows kept",
        *table(("filter", "removed", "reason"), filters),
        "",
        *table(
            ("copies", "planted", "found", "surviving", "recall"),
            [(kind, *copies[kind].values()) for kind in ("exact", "near")],
        ),
        "",
        *table(
            ("teacher's fault", "planted", "removed by filters", "suspected", "unnoticed"),
            [
                *((kind, *_counts(counts)) for kind, counts in faults["kinds"].items()),
                ("all", *_counts(faults)),
            ],
        ),
        (
            f"good requests {faults['good_requests']:,}, lost for any reason {faults['good_requests_lost']:,}; "
            f"good rows kept {faults['good_rows_kept']:,}, of them suspected {faults['good_rows_suspected']:,}; "
            f"suspects {faults['suspects']:,}, wrong by gold {faults['suspects_wrong_by_gold']:,} "
            f"of {faults['wrong_rows_kept']:,}"
        ),
        "",
        "personal data injected in remaining rows (found: nothing of it is left in any text)",
        *_personal(task["personal_data"]),
        "",
        (
            f"tokens per prompt: {billed or 'not billed'} -> about {extract['prompt_tokens_pruned']}"
            f" ({extract['prompt_chars_original']:,} -> {extract['prompt_chars_pruned']:,} characters)"
        ),
        "",
        *table(
            ("in an earlier split too", "rows", "exact", "letters only", "planted copies", "source items"),
            [(split, *counts.values()) for split, counts in task["leakage"].items()],
        ),
        "",
        _drift(drift),
    ]
    if "train" in task:
        trained = task["train"]["metrics"]
        text += [
            "",
            (
                f"trained {trained['examples']:,} examples, {trained['epochs']:.3g} epochs, {trained['steps']:,} steps "
                f"in {trained['seconds']:,.0f} s: {trained['supervised_tokens_per_second']:,.0f} answer tokens/s"
            ),
        ]
    if "evaluate" in task:
        scores = [
            (name, each["main_metric"], each["metrics"][each["main_metric"]]["value"])
            for name, each in task["evaluate"].items()
        ]
        text += ["", *table(("candidate", "metric", "value"), scores)]
    if "against_gold" in task:
        for head, *rows in gold_scores.lines(task["against_gold"]):
            text += ["", *table(head, rows)]
    return text


def _drift(drift: dict[str, Any]) -> str:
    text = [f"drift: {len(drift['found'])} of {len(drift['planted'])} planted labels found"]
    text += [f"{n.replace('_', ' ')}: {', '.join(drift[n])}" for n in ("missed", "not_planted") if drift[n]]
    text += [f"{drift['rows_without_a_label']} planted rows have no label"] if drift["rows_without_a_label"] else []
    return "; ".join(text)


def _counts(counts: dict[str, int]) -> list[int]:
    return [counts.get(name, 0) for name in ("planted", "removed_by_filters", "suspected", "unnoticed")]


def _personal(types: dict[str, dict[str, Any]]) -> list[str]:
    head = ("type", "planted", "found", "detected", "recall", "precision at least")
    return table(head, [(kind, *rates.values()) for kind, rates in types.items()])
