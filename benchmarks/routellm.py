"""Cost against quality on RouteLLM's tables of two models: our signals, random mixing, and the published routers.

The folder holds `routellm_gsm8k_responses.csv.gz` and `routellm_mtbench_judgements.jsonl.gz` (lm-sys/RouteLLM,
routellm/evals, Apache-2.0). They have prompts, both models' answers and whether those are right (GSM8K) or a judge's
score (MT-bench); neither log-probabilities nor the routers' scores. So the confidence is what can be checked in the
weak model's answer (does its arithmetic hold, does it end in an answer, how long is it), turned into a probability by
logistic regression on four fifths of the items and used on the last; the rules look at the request alone.

APGR: the mean share of the two models' gap that is recovered, over all shares of calls to the strong model; 0.5 is
random mixing. CPT(x): the least share of calls that recovers x of the gap.
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
"""As the paper reckons them (arXiv 2406.18665, section on cost)."""
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
    """The weak model's."""
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
    """One item a question: it is routed by its first turn, and scored by the mean of both, as RouteLLM does."""
    scores: dict[tuple[int, str], list[float]] = {}
    texts: dict[int, tuple[str, str]] = {}
    with gzip.open(path) as lines:
        for line in io.BufferedReader(lines):  # type: ignore[arg-type]
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
        found = curve(priority, weak, strong)
        draws = [rng.integers(0, len(items), len(items)) for _ in range(resamples)]
        apgr = [_apgr(curve(priority[each], weak[each], strong[each])) for each in draws]
        finite = [value for value in apgr if np.isfinite(value)]
        row = {"signal": signal, "apgr": _apgr(found), "cpt50": _cpt(found, 0.5), "cpt80": _cpt(found, 0.8)}
        row["apgr_low"], row["apgr_high"] = (float(end) for end in np.quantile(finite, [0.025, 0.975]))
        rows.append(row | {"curve": [round(float(found(share)), 4) for share in np.linspace(0, 1, 11)]})
    return {
        "items": len(items),
        "weak": float(weak.mean()),
        "strong": float(strong.mean()),
        "rows": rows,
        "published": PUBLISHED[name],
        # A cascade asks the weak model first, always; a router asks one of the two.
        "weak_call_costs": round(USD_PER_MTOK[WEAK] / USD_PER_MTOK[STRONG], 4),
    }


class Curve(NamedTuple):
    """Share of calls to the strong model against the share of the gap that is recovered."""

    shares: NDArray[np.float64]
    recovered: NDArray[np.float64]

    def __call__(self, share: float) -> float:
        return float(np.interp(share, self.shares, self.recovered))


def curve(priority: NDArray[np.float64], weak: NDArray[np.float64], strong: NDArray[np.float64]) -> Curve:
    """Highest priority to the strong model first; those of equal priority in random order, on average."""
    order = np.argsort(-priority, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    ends = np.append(np.flatnonzero(np.diff(priority[order]) != 0) + 1, len(order))
    places = np.concatenate([[0], ends])
    total = gained[-1] if gained[-1] > 0 else np.nan
    return Curve(places / len(order), gained[places] / total)


def _apgr(found: Curve) -> float:
    return float(np.trapezoid(found.recovered, found.shares))


def _cpt(found: Curve, gap: float) -> float | None:
    """The first share at which the gap is recovered; None where it never is."""
    above = np.flatnonzero(found.recovered >= gap)
    if not len(above):
        return None
    place = int(above[0])
    x, y = found.shares[place - 1 : place + 1], found.recovered[place - 1 : place + 1]
    return float(np.interp(gap, y, x))


def _by_rules(items: Sequence[Item]) -> NDArray[np.float64]:
    """The tier that the shipped rules choose for the bare question."""
    rules = policy.load(config.CONFIGS / "router.yaml")
    found = []
    for item in items:
        messages = [Message("user", item.question)]
        features = features_of(messages)
        found.append(float(policy.decide(rules, features, request_type(features, messages), None).tier))
    return np.array(found)


def _confidence(items: Sequence[Item], rng: np.random.Generator) -> NDArray[np.float64]:
    """Probability that the weak answer is good, each fold's from a regression on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = np.array([_features(item) for item in items])
    weak = np.array([item.weak for item in items])
    # Graded scores become good or not at their middle.
    good = weak >= max(float(np.median(weak)), 1e-9)
    folds = rng.permutation(len(items)) % FOLDS
    found = np.zeros(len(items))
    for fold in range(FOLDS):
        here = folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
        found[here] = model.fit(table[~here], good[~here]).predict_proba(table[here])[:, 1]
    return found


_NUMBER = re.compile(r"\d[\d,]*\.?\d*")
_SUM = re.compile(r"(\d[\d,.]*)\s*([-+*/x×])\s*(\d[\d,.]*)\s*=\s*\$?(-?\d[\d,.]*)")


def _features(item: Item) -> tuple[float, ...]:
    answer, question = item.answer.strip(), item.question
    sums = [_holds(match) for match in _SUM.findall(answer)]
    asked, said = _NUMBER.findall(question), _NUMBER.findall(answer)
    return (
        np.log1p(len(question)),
        np.log1p(len(answer)),
        len(asked),
        len(said) / (1 + len(asked)),
        len(sums),
        float(not all(sums)),
        # A finished answer ends in a sentence or in its stated result, not in the middle of a word.
        float(answer[-1:] in ".!?`)\"'" or "####" in answer),
        answer.count("\n"),
        float("<<" in answer),
        len(set(asked) - set(said)),
    )


def _holds(match: tuple[str, str, str, str]) -> bool:
    left, operator, right, stated = match
    try:
        a, b, c = (float(text.rstrip(".,").replace(",", "")) for text in (left, right, stated))
    except ValueError:
        return True
    value = {"+": a + b, "-": a - b, "/": a / b if b else c}.get(operator, a * b)
    return abs(value - c) <= 0.02 * max(1.0, abs(c))
