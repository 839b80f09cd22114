"""Fine-tuning a tiny encoder with random weights: trained, exported, guarded, and the same in its artifact."""

import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.classifiers import artifact, finetune, pretrained
from pipeline.classifiers.calibration import Members
from pipeline.classifiers.config import EncoderFit, EncoderModel
from pipeline.classifiers.examples import Examples, SiteData
from tests.classifiers import CALL_SITE, WORDS
from traffic import classifiers
from traffic.adapters import CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.classifier_model import Model
from traffic.classifiers import Classifier

pytestmark = pytest.mark.models
LABELS = tuple(sorted(WORDS))


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-encoder")
    words = sorted({part for group in WORDS.values() for word in group for part in word.split()} | {"please", "my"})
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(vocabulary), **size)).save_pretrained(folder)
    return folder


def rows(count: int, seed: int, *, sets: bool = False) -> Examples:
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        chosen = sorted(draw.sample(LABELS, draw.choice((1, 2)) if sets else 1))
        texts.append("please my " + " my ".join(draw.choice(WORDS[label]) for label in chosen))
        labels.append(", ".join(chosen))
    return Examples(texts, labels)


ALL: Members = ("words", "embedding", "frozen_embedding")


@pytest.mark.parametrize("sets, members", [(False, None), (True, None), (False, ALL), (True, ALL)])
def test_the_saved_encoder_gives_the_same_answers(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets: bool, members: Members | None
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checks = Checks(labels=LABELS, multiple="comma" if sets else None)
    data = {CALL_SITE: SiteData(rows(96, 1, sets=sets), rows(32, 2, sets=sets), rows(60, 3, sets=sets), checks)}
    settings = EncoderFit(
        encoder=EncoderModel(path=str(tiny_encoder)),
        epochs=2,
        minutes=1,
        compute_dtype="float32",
        learning_rate=3e-3,
        members=members,
    )
    base = pretrained.resolve(settings.encoder, Home(tmp_path))
    said: list[str] = []
    made = finetune.fit(settings, data, base, tmp_path / "work", resume=True, announce=said.append)
    assert any(line.startswith("fine-tuned") for line in said)
    # Killed before it was published: the same command takes up the last checkpoint.
    again = finetune.fit(settings, data, base, tmp_path / "work", resume=True, announce=said.append)
    assert again.metrics["steps"] == made.metrics["steps"] > 0
    losses = [name for name in made.metrics if name.startswith("validation_loss_")]
    assert len(losses) == (6 if members is None else 1)
    for name in losses:
        assert again.metrics[name] == pytest.approx(made.metrics[name], abs=1e-3)
    fitted = made.sites[CALL_SITE]
    assert members is None or fitted.model.members == members
    assert fitted.model.guard is not None
    assert fitted.model.guard.false_alarms <= settings.false_alarms
    prompts = CallSitePrompts(templates=(), request_type="classification", checks=checks)
    card = Classifier(
        name="",
        task=CALL_SITE,
        kind="encoder",
        dataset=f"{CALL_SITE}@00000000",
        call_sites={CALL_SITE: prompts},
        models={},
        config={"kind": "encoder"},
        metrics=dict(made.metrics),
        libraries={},
    )
    folder = artifact.publish(card, made.sites, data, made.encoders, Home(tmp_path))
    made.clean()
    assert not (tmp_path / "work").exists()
    site = Model(folder).site(CALL_SITE)
    encoders = {site.model.encoder, site.model.frozen_encoder} - {None}
    assert {str(path.parent.relative_to(folder)) for path in folder.rglob("model.onnx")} == encoders
    test = rows(60, 4, sets=sets)
    answers = site.answers(test.texts)
    right = np.mean([answer.text == label for answer, label in zip(answers, test.labels, strict=True)])
    assert right > (0.6 if sets else 0.9)
    assert len(classifiers.load_parity(folder)) == 32
    assert all(answer.logprob <= 0 for answer in answers)


def test_an_average_covers_labels_of_the_validation_rows(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    newest = "shipping"
    train, validation, test = rows(96, 1), rows(60, 2), rows(60, 4)
    kept = [row for row, label in enumerate(train.labels) if label != newest]
    train = Examples([train.texts[row] for row in kept], [train.labels[row] for row in kept])
    data = {CALL_SITE: SiteData(train, validation, rows(60, 3), Checks(labels=LABELS))}
    settings = EncoderFit(
        encoder=EncoderModel(path=str(tiny_encoder)), epochs=1, minutes=1, compute_dtype="float32", members=ALL
    )
    base = pretrained.resolve(settings.encoder, Home(tmp_path))
    made = finetune.fit(settings, data, base, tmp_path / "work", resume=True, announce=lambda line: None)
    fitted = made.sites[CALL_SITE]
    assert fitted.ngrams is not None
    features = fitted.ngrams.vectorizer().features(test.texts)
    answers = [fitted.model.labels[column] for column in fitted.heads["words"].logits(features).argmax(1)]
    right = [answer == label for answer, label in zip(answers, test.labels, strict=True) if label == newest]
    assert np.mean(right) > 0.9
