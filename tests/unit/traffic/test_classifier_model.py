"""A classifier's files: faults are reported at load."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from tests.classifiers import CALL_SITE, make_classifier
from traffic import classifiers, config
from traffic.classifier_model import BATCH, Head, Model, NgramFeatures, SiteClassifier, batches, load_site
from traffic.classifiers import SiteModel
from traffic.errors import ConfigError, InputError

Tensors = dict[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classifier(tmp_path_factory.mktemp("home"))


def changed(folder: Path, target: Path, change: Callable[[Tensors], None]) -> Path:
    """A copy of the classifier with other numbers in its heads."""
    copy = target / folder.name
    shutil.copytree(folder, copy)
    path = copy / classifiers.load(folder).models[CALL_SITE].folder / "model.safetensors"
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    return copy


def test_a_loaded_head_is_multiplied_without_a_copy_of_its_weights(folder: Path) -> None:
    """A sparse row times weights in the other order copies all of them first, for one request of a few words."""
    (head,) = Model(folder).site(CALL_SITE)._heads.values()
    assert head.weight.T.flags.c_contiguous


def not_a_number(tensors: Tensors) -> None:
    tensors["words.weight"][0, 0] = np.nan


def infinite(tensors: Tensors) -> None:
    tensors["words.bias"][0] = np.inf


def narrow(tensors: Tensors) -> None:
    tensors["words.weight"] = np.ascontiguousarray(tensors["words.weight"][:, :-1])


def biased_for_others(tensors: Tensors) -> None:
    tensors["words.bias"] = np.zeros(7, np.float32)


@pytest.mark.parametrize("change", [not_a_number, infinite, narrow, biased_for_others])
def test_unusable_heads_are_refused_at_load(folder: Path, tmp_path: Path, change: Callable[[Tensors], None]) -> None:
    with pytest.raises(InputError, match=r"0: .*train the classifier again"):
        Model(changed(folder, tmp_path, change))


def test_a_zero_temperature_is_refused(folder: Path, tmp_path: Path) -> None:
    card = (folder / classifiers.FILE).read_text()
    (tmp_path / classifiers.FILE).write_text(card.replace("temperature: 1.0", "temperature: 0.0"))
    with pytest.raises(ConfigError, match="temperature"):
        config.load(tmp_path / classifiers.FILE, classifiers.Classifier)


@pytest.mark.parametrize(
    "lengths, expected",
    [
        ([], []),
        ([9, 10, 8], [[2, 0, 1]]),
        ([6, 60, 7, 6], [[0, 3, 2], [1]]),
        ([0, 0, 5], [[0, 1], [2]]),
    ],
)
def test_a_long_text_does_not_pad_the_short_ones_of_its_batch(lengths: list[int], expected: list[list[int]]) -> None:
    assert batches(lengths) == expected


def test_no_batch_is_larger_than_the_limit() -> None:
    assert [len(batch) for batch in batches([7] * (2 * BATCH + 3))] == [BATCH, BATCH, 3]


class FakeEncoder:
    """The same embedding for every text."""

    def __init__(self, *embedding: float) -> None:
        self._embedding = embedding

    @property
    def width(self) -> int:
        return len(self._embedding)

    def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return np.tile(np.array(self._embedding, np.float32), (len(texts), 1))


def test_the_fine_tuned_and_the_frozen_encoder_are_averaged_each_with_its_own_head() -> None:
    model = SiteModel(
        folder="0",
        labels=("a", "b"),
        members=("frozen_embedding", "embedding"),
        encoder="0/encoder",
        frozen_encoder="encoder",
    )
    heads = {
        "embedding": Head(np.array([[0.0, 0.0], [0.0, np.log(3)]]), np.zeros(2)),
        "frozen_embedding": Head(np.zeros((2, 3)), np.array([np.log(9), 0.0])),
    }
    tuned, frozen = FakeEncoder(0, 1), FakeEncoder(0, 0, 1)
    classifier = SiteClassifier(model, heads, encoder=tuned, frozen_encoder=frozen)  # type: ignore[arg-type]
    (answer,) = classifier.answers(["x"])
    assert answer.text == "a"
    assert np.exp(answer.logprob) == pytest.approx((0.25 + 0.9) / 2)


@pytest.mark.parametrize("frozen", [None, FakeEncoder(1, 0)])
def test_a_head_without_its_encoder_is_refused(tmp_path: Path, frozen: FakeEncoder | None) -> None:
    model = SiteModel(folder="0", labels=("a", "b"), members=("frozen_embedding",), encoder="0/encoder")
    save_file(
        {
            "frozen_embedding.weight": np.zeros((2, 3), np.float32),
            "frozen_embedding.bias": np.zeros(2, np.float32),
        },
        tmp_path / "model.safetensors",
    )
    with pytest.raises(InputError, match="frozen_embedding"):
        load_site(tmp_path, model, FakeEncoder(1, 0, 0), frozen)  # type: ignore[arg-type]


class BrokenEncoder:
    """An encoder that returns NaN."""

    def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return np.full((len(texts), 2), np.nan, np.float32)


def test_an_encoder_that_returns_nan_gives_no_answer() -> None:
    model = SiteModel(folder="0", labels=("a", "b"), members=("embedding",), encoder="encoder")
    heads = {"embedding": Head(np.eye(2), np.zeros(2))}
    classifier = SiteClassifier(model, heads, encoder=BrokenEncoder())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a number"):
        classifier.answers(["x"])


@pytest.mark.parametrize("empty, expected", [(True, "[]"), (False, '["b"]')])
def test_an_empty_set_is_an_answer_where_training_had_one(empty: bool, expected: str) -> None:
    labels = ("a", "b")
    model = SiteModel(folder="0", labels=labels, members=("words",), multiple="json", empty=empty)
    words = NgramFeatures([["one", "two"], ["x"]], [np.ones(2), np.ones(1)])
    heads = {"words": Head(np.zeros((2, 3)), np.array([-3.0, -1.0]))}
    (answer,) = SiteClassifier(model, heads, words=words).answers(["nothing of it"])
    assert answer.text == expected
    (rival,) = answer.rivals
    assert rival.text == ('["b"]' if empty else "[]")
    likely = np.log(1 - 1 / (1 + np.e**3)) + np.log(1 - 1 / (1 + np.e))
    assert (answer.logprob if empty else rival.logprob) == pytest.approx(likely)
