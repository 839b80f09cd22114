"""Cost against quality on RouteLLM's tables of two models: our signals, random mixing, and published routers.

The folder holds `routellm_gsm8k_responses.csv.gz` and `routellm_mtbench_judgements.jsonl.gz` (lm-sys/RouteLLM,
routellm/evals, Apache-2.0). They have prompts, both models' answers and whether those are right (GSM8K) or a judge's
score (MT-bench), but no log-probabilities or router scores. The confidence is therefore based on checks of the weak
model's answer (valid arithmetic, a final answer, length), converted to a probability by logistic regression with
five-fold cross-validation; the rules use only the request.

APGR: mean recovered share of the gap between the two models, over all shares of calls to the strong model; 0.5 for
random mixing. CPT(x): minimum share of calls that recovers x of the gap.
"""

import csv
import gzip
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from traffic import config, policy
from traffic.features import features_of, request_type
from traffic.record import Message

GSM8K, MT_BENCH = "routellm_gsm8k_responses.csv.gz", "routellm_mtbench_judgements.jsonl.gz"
WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
USD_PER_MTOK = {WEAK: 0.24, STRONG: 24.7}
"""As assumed in the paper (arXiv 2406.18665, section on cost)."""
FOLDS = 5
RESAMPLES = 300
PUBLISHED = {
    "gsm8k": {
        "source": "arXiv 2406.18665v4, table 3: the best published router, causal LLM, arena and judge data",
        "apgr": 0.622,
        "cpt50": 0.3364,
        "cpt80": 0.6326,
    },
    "mt-bench": {
        "source": "arXiv 2406.18665v4, table 1: the best published router, matrix factorisation, arena and judge data",
        "apgr": 0.802,
        "cpt50": 0.1340,
        "cpt80": 0.3131,
    },
}


class Item(NamedTuple):
    question: str
    answer: str
    """The weak model's answer."""
    weak: float
    strong: float
    """Scores in [0, 1]."""


def measure(folder: Path, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Curves on both tables. Raises: FileNotFoundError."""
    tables = {"gsm8k": gsm8k(folder / GSM8K), "mt-bench": mt_bench(folder / MT_BENCH)}
    return {name: _table(name, items, resamples) for name, items in tables.items()}


def gsm8k(path: Path) -> list[Item]:
    csv.field_size_limit(10**8)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return [
            Item(row["prompt"], row[f"{WEAK}_response"], float(row[WEAK] == "True"), float(row[STRONG] == "True"))
            for row in csv.DictReader(lines)
        ]


def mt_bench(path: Path) -> list[Item]:
    """One item per question, routed by its first turn and scored by the mean of both, as in RouteLLM."""
    scores: dict[tuple[int, str], list[float]] = {}
    texts: dict[int, tuple[str, str]] = {}
    with gzip.open(path) as lines:
        for line in io.BufferedReader(lines):
            row = msgspec.json.decode(line)
            scores.setdefault((row["question_id"], row["model"]), []).append(row["score"] / 10)
            if row["turn"] == 1 and row["model"] == WEAK:
                prompt = row["user_prompt"]
                question = prompt.partition("[Question]\n")[2].partition("\n\n[The Start of")[0]
                answer = prompt.partition("[The Start of Assistant's Answer]\n")[2].rpartition("\n[The End of")[0]
                texts[row["question_id"]] = question, answer
    return [
        Item(question, answer, float(np.mean(scores[number, WEAK])), float(np.mean(scores[number, STRONG])))
        for number, (question, answer) in sorted(texts.items())
    ]


def _table(name: str, items: list[Item], resamples: int) -> dict[str, Any]:
    weak, strong = np.array([item.weak for item in items]), np.array([item.strong for item in items])
    rng = np.random.default_rng(statistics.SEED)
    signals = {
        "random mixing": np.zeros(len(items)),
        "rules (request alone)": _by_rules(items),
        "confidence (weak answer checked)": 1 - _confidence(items, rng),
        "best possible": strong - weak,
    }
    rows = []
    for signal, priority in signals.items():
        mixing = curve(priority, weak, strong)
        draws = [rng.integers(0, len(items), len(items)) for _ in range(resamples)]
        apgr = [_apgr(curve(priority[draw], weak[draw], strong[draw])) for draw in draws]
        finite = [value for value in apgr if np.isfinite(value)]
        row = {"signal": signal, "apgr": _apgr(mixing), "cpt50": _cpt(mixing, 0.5), "cpt80": _cpt(mixing, 0.8)}
        row["apgr_low"], row["apgr_high"] = (float(end) for end in np.quantile(finite, [0.025, 0.975]))
        rows.append(row | {"curve": [round(float(mixing(share)), 4) for share in np.linspace(0, 1, 11)]})
    return {
        "items": len(items),
        "weak": float(weak.mean()),
        "strong": float(strong.mean()),
        "rows": rows,
        "published": PUBLISHED[name],
        # A cascade always asks the weak model first; a router asks one of the two.
        "weak_call_costs": round(USD_PER_MTOK[WEAK] / USD_PER_MTOK[STRONG], 4),
    }


class Curve(NamedTuple):
    """Recovered share of the gap as a function of the share of calls to the strong model."""

    shares: NDArray[np.float64]
    recovered: NDArray[np.float64]

    def __call__(self, share: float) -> float:
        return float(np.interp(share, self.shares, self.recovered))


def curve(priority: NDArray[np.float64], weak: NDArray[np.float64], strong: NDArray[np.float64]) -> Curve:
    """The curve if calls go to the strong model by descending priority; ties count as their average over all orders."""
    order = np.argsort(-priority, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    ends = np.append(np.flatnonzero(np.diff(priority[order]) != 0) + 1, len(order))
    positions = np.concatenate([[0], ends])
    total = gained[-1] if gained[-1] > 0 else np.nan
    return Curve(positions / len(order), gained[positions] / total)


def _apgr(mixing: Curve) -> float:
    return float(np.trapezoid(mixing.recovered, mixing.shares))


def _cpt(mixing: Curve, gap: float) -> float | None:
    """The smallest share of calls that recovers this part of the gap; None if none does."""
    above = np.flatnonzero(mixing.recovered >= gap)
    if not len(above):
        return None
    index = int(above[0])
    x, y = mixing.shares[index - 1 : index + 1], mixing.recovered[index - 1 : index + 1]
    return float(np.interp(gap, y, x))


def _by_rules(items: Sequence[Item]) -> NDArray[np.float64]:
    """The tier that the shipped rules choose for the question alone."""
    rules = policy.load(config.CONFIGS / "router.yaml")
    tiers = []
    for item in items:
        messages = [Message("user", item.question)]
        features = features_of(messages)
        tiers.append(float(policy.decide(rules, features, request_type(features, messages), None).tier))
    return np.array(tiers)


def _confidence(items: Sequence[Item], rng: np.random.Generator) -> NDArray[np.float64]:
    """Probability that the weak answer is good, for each fold by a regression on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = np.array([_features(item) for item in items])
    weak = np.array([item.weak for item in items])
    # Graded scores are split into good and bad at the middle of the scale.
    good = weak >= max(float(np.median(weak)), 1e-9)
    folds = rng.permutation(len(items)) % FOLDS
    probabilities = np.zeros(len(items))
    for fold in range(FOLDS):
        here = folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
        probabilities[here] = model.fit(table[~here], good[~here]).predict_proba(table[here])[:, 1]
    return probabilities


_NUMBER = re.compile(r"\d[\d,]*\.?\d*")
_SUM = re.compile(r"(\d[\d,.]*)\s*([-+*/x×])\s*(\d[\d,.]*)\s*=\s*\$?(-?\d[\d,.]*)")


def _features(item: Item) -> tuple[float, ...]:
    answer, question = item.answer.strip(), item.question
    sums = [_holds(match) for match in _SUM.findall(answer)]
    question_numbers, answer_numbers = _NUMBER.findall(question), _NUMBER.findall(answer)
    return (
        np.log1p(len(question)),
        np.log1p(len(answer)),
        len(question_numbers),
        len(answer_numbers) / (1 + len(question_numbers)),
        len(sums),
        float(not all(sums)),
        # A complete answer ends with a sentence or a stated result, not in the middle of a word.
        float(answer[-1:] in ".!?`)\"'" or "####" in answer),
        answer.count("\n"),
        float("<<" in answer),
        len(set(question_numbers) - set(answer_numbers)),
    )


def _holds(match: tuple[str, str, str, str]) -> bool:
    left, operator, right, stated = match
    try:
        a, b, c = (float(text.rstrip(".,").replace(",", "")) for text in (left, right, stated))
    except ValueError:
        return True
    value = {"+": a + b, "-": a - b, "/": a / b if b else c}.get(operator, a * b)
    return abs(value - c) <= 0.02 * max(1.0, abs(c))
