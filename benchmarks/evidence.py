"""Error rates of the promotion gate and of the calibration, in simulations with known truth.

    python -m benchmarks.evidence [--scale 0.1] [--routellm FOLDER] [--json]

The gate's false promotions and power (benchmarks/gate_rates.py), the calibrated error
(benchmarks/calibration_rates.py), and with --routellm cost against quality on RouteLLM's tables
(benchmarks/routellm.py). Exit status 1 if a rate exceeds its limit.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import calibration_rates, gate_rates, harness, routellm
from benchmarks.harness import table
from traffic import number_format

RUNS = 1000


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the 1,000 runs of each simulation")
    parser.add_argument("--routellm", type=Path, help="folder with RouteLLM's tables")
    options = parser.parse_args()

    began = time.monotonic()
    runs = max(20, round(RUNS * options.scale))
    with ProcessPoolExecutor(2) as pool:
        gate, calibration = pool.submit(gate_rates.measure, runs), pool.submit(calibration_rates.measure, runs)
        result: dict[str, Any] = {"gate": gate.result(), "calibration": calibration.result()}
    missing = routellm_skipped(options.routellm)
    result["routellm"] = {"skipped": missing} if missing else routellm.measure(options.routellm)
    result["seconds"] = round(time.monotonic() - began, 1)
    result["broken"] = broken(result)
    harness.show(result, options.json, lines(result))
    return int(bool(result["broken"]))


def routellm_skipped(folder: Path | None) -> str | None:
    """Why RouteLLM's tables are not used; None if they are."""
    if folder is None:
        return "RouteLLM: skipped, --routellm is not a folder with its tables"
    absent = [name for name in (routellm.GSM8K, routellm.MT_BENCH) if not (folder / name).is_file()]
    return f"RouteLLM: skipped, {folder} has no {', '.join(absent)}" if absent else None


def broken(result: dict[str, Any]) -> list[str]:
    """Descriptions of the rates that exceed their limits."""
    broken_rates = [
        f"{row['what']} {row['rate']:.1%} at {row['items']} items, discordance {row['discordance']:.0%}, "
        f"sessions of {row['session']}"
        for row in result["gate"]["rows"]
        if not row["holds"]
    ]
    broken_rates += [
        f"graded scores: {row['rate']:.1%} promoted falsely at {row['items']} items"
        for row in result["gate"]["graded"]
        if not row["holds"]
    ]
    broken_rates += [
        f"{row['worse_cohorts']} worse cohorts: any promoted in {row['any_promoted']:.1%}"
        for row in result["gate"]["holm"]["rows"]
        if not row["holds"]
    ]
    broken_rates += [
        f"{row['candidates']} candidates worse by the margin: any passes in {row['any_passes']:.1%}"
        for row in result["gate"]["several"]
        if not row["holds"]
    ]
    broken_rates += [
        f"items asked repeatedly, {row['what']}: promoted in {row['rate']:.1%}"
        for row in result["gate"]["repeated"]
        if not row["holds"]
    ]
    return broken_rates + [
        f"calibration, {row['task']}: within {row['target']:.0%} in only {row['held']:.1%} of the runs"
        for row in result["calibration"]["rows"]
        if not row["holds"]
    ]


def lines(result: dict[str, Any]) -> list[str]:
    gate, calibration = result["gate"], result["calibration"]
    text = [f"gate, margin {gate['margin']:.0%}, alpha {gate['alpha']}, {gate['runs']:,} runs each"]
    head = ("differ on", "session", "together", "items", "true difference", "promoted", "95%", "bar", "holds")
    text += table(head, [_gate_row(row, gate) for row in gate["rows"]])
    text += ["", f"graded scores, total failures at times, worse by the margin, {gate['runs']:,} runs"]
    text += table(
        ("items", "promoted", "bar", "holds"),
        [(row["items"], f"{row['rate']:.1%}", f"<= {gate['alpha']:.0%}", row["holds"]) for row in gate["graded"]],
    )
    holm = gate["holm"]
    text += ["", f"{holm['cohorts']} cohorts of {holm['items_each']} items, {holm['runs']:,} runs"]
    text += table(
        ("cohorts at the margin", "any of them promoted", "without Holm", "bar", "holds"),
        [
            (row["worse_cohorts"], f"{row['any_promoted']:.1%}", f"{row['without_holm']:.1%}", "<= 5%", row["holds"])
            for row in holm["rows"]
        ],
    )
    text += ["", f"several candidates, all worse by the margin, on the same items, {gate['runs']:,} runs"]
    text += table(
        ("candidates", "items", "any of them passes", "without Holm", "bar", "holds"),
        [
            (
                row["candidates"],
                row["items"],
                f"{row['any_passes']:.1%}",
                f"{row['without_holm']:.1%}",
                "<= 5%",
                row["holds"],
            )
            for row in gate["several"]
        ],
    )
    text += ["", f"items asked repeatedly: two hold a seventh of the requests, {gate['runs']:,} runs"]
    text += table(
        ("candidate", "items", "requests", "promoted", "bar", "holds"),
        [
            (
                *(row["what"], row["items"], row["requests"], f"{row['rate']:.1%}"),
                f">= {gate_rates.POWER:.0%}" if row["what"] == "good" else f"<= {gate['alpha']:.0%}",
                row["holds"],
            )
            for row in gate["repeated"]
        ],
    )
    text += ["", f"calibrated error among kept answers, {calibration['runs']:,} exchangeable runs each"]
    text += table(
        ("task", "wrong at all", "target", "items", "kept its target", "certified", "mean error", "escalated", "holds"),
        [_calibration_row(row) for row in calibration["rows"]],
    )
    text += ["", "the same thresholds under drift (no promise holds there: audit and calibrate again)"]
    text += table(
        ("task", "target", "new requests", "less right by", "mean error", "kept its target"),
        [drift_row for row in calibration["rows"] for drift_row in _drift_rows(row)],
    )
    text += ["", *_routellm(result["routellm"]), ""]
    text += [f"exceeded: {rate}" for rate in result["broken"]] or ["every rate is within its limit"]
    return [*text, f"{result['seconds']} s"]


def _gate_row(row: dict[str, Any], gate: dict[str, Any]) -> tuple[Any, ...]:
    false = row["what"] == "false promotion"
    difference = f"-{100 * gate['margin']:g} points" if false else "none"
    bar = f"<= {gate['alpha']:.0%}" if false else f">= {gate_rates.POWER:.0%}"
    interval = f"{row['low']:.1%}-{row['high']:.1%}"
    shown = (f"{row['discordance']:.0%}", row["session"], row["together"], row["items"], difference)
    return (*shown, f"{row['rate']:.1%}", interval, bar, row["holds"])


def _calibration_row(row: dict[str, Any]) -> tuple[Any, ...]:
    shown = (row["task"], f"{row['base_error']:.1%}", f"{row['target']:.0%}", row["items"], f"{row['held']:.1%}")
    rest = (number_format.percent(row["mean_error"]), number_format.percent(row["mean_escalation"]), row["holds"])
    return (*shown, f"{row['certified']:.1%}", *rest)


def _drift_rows(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            *(row["task"], f"{row['target']:.0%}", f"{drift['new_requests']:.0%}", f"{drift['less_right_by']:.0%}"),
            *(number_format.percent(drift["mean_error"]), number_format.percent(drift["within_target"])),
        )
        for drift in row["drift"]
    ]


def _routellm(tables: dict[str, Any]) -> list[str]:
    if "skipped" in tables:
        return [tables["skipped"]]
    text = []
    for name, table_result in tables.items():
        models = f"weak model {table_result['weak']:.3f}, strong {table_result['strong']:.3f}"
        text.append(f"RouteLLM's {name}, {table_result['items']} items: {models}")
        rows = [
            (
                *(row["signal"], f"{row['apgr']:.3f}", f"{row['apgr_low']:.3f}-{row['apgr_high']:.3f}"),
                *(number_format.percent(row["cpt50"]), number_format.percent(row["cpt80"])),
            )
            for row in table_result["rows"]
        ]
        best = table_result["published"]
        rows.append(
            (
                "best published router",
                f"{best['apgr']:.3f}",
                "",
                number_format.percent(best["cpt50"]),
                number_format.percent(best["cpt80"]),
            )
        )
        text += table(("signal", "APGR", "95%", "CPT(50%)", "CPT(80%)"), rows)
        text += [f"published: {best['source']}", ""]
    return text[:-1]


if __name__ == "__main__":
    sys.exit(main())
