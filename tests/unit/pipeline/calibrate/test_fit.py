"""Fitted curves equal scikit-learn's in the router's arithmetic; the best signal is selected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from pipeline.calibrate import fit as fits
from traffic import config
from traffic.calibrations import Calibration
from traffic.confidence import Isotonic, Platt, Signals

pytestmark = pytest.mark.slow


def signals(margin: float, *, mean: float | None = None, tokens: int = 3) -> Signals:
    """All signals equal, except the given ones."""
    average = margin if mean is None else mean
    return Signals(margin, margin, average, margin, -1 + margin, -1 + average, tokens)


@given(
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.booleans()), min_size=2, max_size=60),
    st.lists(st.floats(-2, 2, width=32), max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_the_isotonic_curve_equals_scikit_learns_except_for_the_tilt(
    pairs: list[tuple[float, bool]], elsewhere: list[float]
) -> None:
    scores, right = np.array([score for score, _ in pairs]), np.array([good for _, good in pairs])
    n = len(pairs)
    model = IsotonicRegression(y_min=1 / (n + 2), y_max=(n + 1) / (n + 2), out_of_bounds="clip").fit(scores, right)
    curve = fits.isotonic(scores, right)
    asked = np.concatenate([scores, np.array(elsewhere)])
    ours = [curve.probability(float(score)) for score in asked]
    assert ours == pytest.approx(model.predict(asked), abs=1.01 * fits.TILT)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_the_sigmoid_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, 80)
    right = rng.random(80) < 1 / (1 + np.exp(-4 * scores))
    good, bad = int(right.sum()), int((~right).sum())
    target = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    model = LogisticRegression(C=1e6, max_iter=1000, tol=1e-8).fit(
        np.concatenate([scores, scores])[:, None], [1] * 80 + [0] * 80, np.concatenate([target, 1 - target])
    )
    curve = fits.platt(scores, right)
    if curve.slope > 0:
        ours = [curve.probability(float(score)) for score in scores]
        assert ours == pytest.approx(model.predict_proba(scores[:, None])[:, 1], abs=2e-3)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20, unique=True), st.floats(-20, 20), st.floats(-20, 20))
def test_the_curve_is_monotone(scores: list[float], a: float, b: float) -> None:
    knots = tuple(sorted(scores))
    curve = Isotonic(knots, tuple(np.linspace(0.1, 0.9, len(knots)).tolist()))
    low, high = min(a, b), max(a, b)
    assert 0.1 - 1e-12 <= curve.probability(low) <= curve.probability(high) + 1e-12 <= 0.9 + 1e-9
    assert Platt(2.0, 0.5).probability(low) <= Platt(2.0, 0.5).probability(high)


def test_flat_segments_are_tilted_so_that_a_threshold_can_split_them() -> None:
    scores = np.linspace(0, 1, 100)
    curve = fits.isotonic(scores, np.ones(100, dtype=bool))
    assert curve.probability(0.2) < curve.probability(0.8)
    assert curve.probability(0.8) == pytest.approx(101 / 102, abs=1e-6)


@pytest.mark.parametrize("right", [True, False])
def test_identical_answers_get_one_probability_between_0_and_1(right: bool) -> None:
    fitted = fits.fit([signals(place / 10) for place in range(10)], [right] * 10)
    probability = fitted.probability(signals(0.5))
    assert probability == pytest.approx((10 * right + 1) / 12, abs=0.01)
    assert (fitted.signal, fitted.informative) == ("min_margin", False)


def test_few_items_get_the_sigmoid_and_many_the_isotonic_curve() -> None:
    rng = np.random.default_rng(0)
    margins = rng.random(400)
    right = (rng.random(400) < 0.3 + 0.7 * margins).tolist()
    rows = [signals(float(margin)) for margin in margins]
    few, many = fits.fit(rows, right), fits.fit(rows, right, isotonic_from=400)
    assert (type(few.curve), type(many.curve)) == (Platt, Isotonic)
    assert few.probability(signals(0.9)) == pytest.approx(many.probability(signals(0.9)), abs=0.15)
    assert few.informative
    assert many.informative


def test_the_most_informative_signal_is_chosen() -> None:
    rng = np.random.default_rng(1)
    mean = rng.random(200)
    right = (rng.random(200) < mean).tolist()
    rows = [
        Signals(float(rng.random()), float(rng.random()), float(m), float(rng.random()), -1.0, -2.0, 3) for m in mean
    ]
    assert fits.fit(rows, right).signal == "mean_margin"


def test_complementary_signals_are_combined_with_weights() -> None:
    rng = np.random.default_rng(2)
    first, mean = rng.random(800), rng.random(800)
    right = (rng.random(800) < 1 / (1 + np.exp(-6 * (first + mean - 1)))).tolist()
    rows = [Signals(0.1, 0.1, float(m), float(f), -1.0, -1.0, 2) for f, m in zip(first, mean, strict=True)]
    fitted = fits.fit(rows, right)
    assert fitted.signal == "combined"
    assert set(fitted.weights) == {"mean_margin", "first_margin"}
    assert fitted.probability(rows[0]) == pytest.approx(1 / (1 + np.exp(-6 * (first[0] + mean[0] - 1))), abs=0.1)


def test_a_fit_is_the_same_after_saving() -> None:
    rng = np.random.default_rng(3)
    margins = rng.random(300)
    rows = [signals(float(margin), tokens=1 + place % 5) for place, margin in enumerate(margins)]
    fitted = fits.fit(rows, (rng.random(300) < margins).tolist(), isotonic_from=300)
    kept = Calibration(
        signal=fitted.signal, weights=fitted.weights, curve=fitted.curve, threshold=0.5, call_site="desk"
    )
    import yaml

    again = config.convert(yaml.safe_load(config.dump(kept)), Calibration, source="test")
    assert again == kept
    assert again.cut is not None
    assert [again.cut.value(row) for row in rows] == [fitted.probability(row) for row in rows]


def test_ungraded_answers_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="1 answers"):
        fits.fit([signals(0.5)], [])
