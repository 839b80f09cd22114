"""Is a candidate good enough: its score, the gate's test against the incumbent, and whose requests it may have."""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import msgspec

from pipeline.decide import evidence as evidence_
from pipeline.decide.config import DecideConfig
from pipeline.decide.evidence import Evaluated, Item
from pipeline.gate import cohorts as cohorts_
from pipeline.gate import paired, references
from pipeline.gate.cohorts import Cohort, Promotion, Sample, Settings
from pipeline.gate.paired import PairedTest
from pipeline.gate.references import Judged, References
from pipeline.labels.items import canonical
from pipeline.metrics import Metric

QualityVerdict = Literal["reference", "pass", "fail", "insufficient evidence", "not evaluated"]


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the evaluation says of a candidate; differences are to the incumbent, as fractions."""

    verdict: QualityVerdict
    metric: str | None = None
    """accuracy, json_exact or similarity: what candidates of this task are told apart by."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    """95% interval of the value; None for a cohort, where only the difference decides."""
    n: int = 0
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    """One-sided bounds at 1 - alpha."""
    items_needed: int | None = None
    """To settle it if both are equally good; None where it is settled."""
    test: PairedTest | None = None
    """The whole test; None for the incumbent, and in decisions of earlier versions."""
    references: References | None = None
    """How far the comparison rests on people's labels."""


NOT_EVALUATED = Quality(verdict="not evaluated")


def judge(
    new: Evaluated, reference: Evaluated, margin: float, alpha: float, ids: Collection[str] | None = None
) -> Quality:
    """The candidate's quality on all items, or on those of a cohort. The incumbent itself is adequate by definition."""
    metric = new.scores.main_metric
    items = new.items if ids is None else {record_id: new.items[record_id] for record_id in ids}
    value, low, high = _value(items, metric, new.scores.metrics.get(metric) if ids is None else None)
    plain = Quality(verdict="reference", metric=metric, value=value, low=low, high=high, n=len(items))
    if new is reference:
        return plain
    test = _test(items, reference.items, metric, margin, alpha)
    return msgspec.structs.replace(
        plain,
        verdict=test.verdict,
        difference=test.difference,
        difference_low=test.low,
        difference_high=test.high,
        items_needed=test.items_needed if test.verdict == "insufficient evidence" else None,
        test=test,
        references=references.of(_judged(new, reference, items)),
    )


def promotion(new: Evaluated, reference: Evaluated, overall: Quality, config: DecideConfig) -> Promotion | None:
    """Whose requests the candidate may have; None for the incumbent itself."""
    if overall.test is None:
        return None
    tested: dict[Cohort, Sample] = {}
    for cohort, ids in evidence_.cohorts(reference.items, 1, config.cohort_keys).items():
        test = None
        if len(ids) >= config.min_cohort_items:
            items = {record_id: new.items[record_id] for record_id in ids}
            test = _test(items, reference.items, new.scores.main_metric, config.margin, config.alpha)
        tested[cohort] = Sample(len(ids), test)
    keys = {cohort.key for cohort in tested}
    places = [{key: item.cohort.get(key, evidence_.UNKNOWN) for key in keys} for item in reference.items.values()]
    settings = Settings(config.alpha, config.degraded_cohorts, config.unsettled_cohorts, config.min_cohort_items)
    return cohorts_.promote(overall.test, tested, places, settings)


def to_ask(new: Evaluated, reference: Evaluated) -> list[str]:
    """Record ids of the items on which a person's label would change the comparison."""
    if new.scores.reference == "labels":
        return []
    return references.to_ask(_judged(new, reference, new.items))


def _test(
    items: Mapping[str, Item], reference: Mapping[str, Item], metric: str, margin: float, alpha: float
) -> PairedTest:
    others = [reference[record_id] for record_id in items]
    if metric == "similarity":
        scores = [item.score for item in items.values()], [item.score for item in others]
    else:
        scores = [float(item.correct) for item in items.values()], [float(item.correct) for item in others]
    clusters = [item.cluster or record_id for record_id, item in items.items()]
    return paired.compare(*scores, clusters, margin=margin, alpha=alpha)


def _judged(new: Evaluated, reference: Evaluated, items: Mapping[str, Item]) -> Iterator[Judged]:
    by_people = new.scores.reference == "labels"
    for record_id, item in items.items():
        other = reference.items[record_id]
        source = "human" if by_people else item.label_source
        differ = (item.correct, item.score) != (other.correct, other.score) or _said(item) != _said(other)
        yield Judged(record_id, source, differ)


def _said(item: Item) -> str | None:
    return None if item.output is None else canonical(item.output.strip())


def _value(
    items: Mapping[str, Item], metric: str, known: Metric | None
) -> tuple[float | None, float | None, float | None]:
    if known is not None:
        return known.value, known.interval.low, known.interval.high
    values = [item.score if metric == "similarity" else float(item.correct) for item in items.values()]
    return (sum(values) / len(values) if values else None), None, None
