"""pipeline/train/offers.py"""

import msgspec
import pytest

from pipeline.train import offers, plan
from pipeline.train import shape as sizes
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.errors import ConfigError


def shipped(name: str) -> TrainConfig:
    return config.load(CONFIGS / f"{name}.yaml", TrainConfig)


def make(chosen: TrainConfig, shape: sizes.Shape, processes: int = 1) -> plan.Plan:
    assert chosen.model.architecture is not None
    return plan.make(
        chosen,
        chosen.model.architecture,
        shape,
        plan.Machine("cuda", processes),
        dataset="t@1",
        command=["accelerate", "launch"],
        check=False,
    )


SHAPE = sizes.shape([(500, 100)] * 10_000, 500, shipped("llama-3.1-8b"), measured=True)


def change(name: str, **changes) -> TrainConfig:
    return msgspec.structs.replace(shipped(name), **changes)


def offer(made: plan.Plan, gpu: str, method: str, gpus: int = 1) -> offers.Offer:
    return next(row for row in made.offers if gpu in row.gpu and (row.method, row.gpus) == (method, gpus))


def test_qlora_fits_a_24_gb_gpu_that_lora_does_not_fit():
    rows = sizes.shape([(1900, 148)] * 100, 10, shipped("llama-3.1-8b"), measured=True)
    offers = make(shipped("llama-3.1-8b"), rows)
    assert offer(offers, "L4", "LoRA").gib > offer(offers, "L4", "QLoRA").gib
    assert offer(offers, "L4", "QLoRA").fits
    assert not offer(make(change("llama-3.1-8b", batch_size=16), rows), "L4", "LoRA").fits


def test_the_recommended_offer_is_the_cheapest_that_fits_with_room():
    made = make(shipped("llama-3.1-8b"), SHAPE)
    (best,) = [row for row in made.offers if row.recommended]
    roomy = [row for row in made.offers if row.gib <= offers.TIGHT * row.memory_gib]
    assert best.fits
    assert best.usd == min(row.usd for row in roomy)


def test_without_a_fitting_offer_the_settings_to_change_are_named():
    rows = sizes.shape([(30_000, 2_000)] * 100, 10, change("llama-3.1-8b", max_length=32_768), measured=True)
    huge = change("llama-3.1-8b", max_length=32_768, batch_size=16, gradient_checkpointing=False)
    offers = make(huge, rows)
    assert not any(row.fits or row.recommended for row in offers.offers)
    assert "lower batch_size or max_length" in "\n".join(offers.lines())


def test_several_gpus_are_faster_and_cost_more():
    offers = make(shipped("llama-3.1-8b"), SHAPE)
    one, four = (offer(offers, "A100", "LoRA", gpus) for gpus in (1, 4))
    assert one.seconds / 4 < four.seconds < one.seconds
    assert one.usd < four.usd
    # Packed, each of four computes a quarter of an update at a time.
    assert one.gib > four.gib
    plain = make(change("llama-3.1-8b", packing=False), SHAPE)
    one, four = (offer(plain, "A100", "LoRA", gpus) for gpus in (1, 4))
    assert one.gib == four.gib


@pytest.mark.parametrize(
    "changes",
    [{"gradient_checkpointing": False}, {"batch_size": 8}, {"quantization": "none"}],
    ids=["no checkpointing", "larger batches", "bfloat16 base"],
)
def test_settings_that_need_more_memory_raise_the_estimate(changes):
    base = {"quantization": "nf4"}
    less = offers.needed_gib(change("qwen2.5-7b", **base), shipped("qwen2.5-7b").model.architecture, SHAPE, "cuda", 1)
    chosen = change("qwen2.5-7b", **(base | changes))
    assert offers.needed_gib(chosen, chosen.model.architecture, SHAPE, "cuda", 1) > less


def test_packed_sequences_hold_the_rows_of_one_update_and_no_padding():
    packed = change("qwen2.5-7b", packing=True, attention="flash_attention_2", group_by_length=False)
    rows = [(10, 5), (90, 20), (300, 30)]
    assert sizes.shape(rows, 2, packed, measured=True).computed == 455
    assert (
        sizes.shape(rows, 2, change("qwen2.5-7b", packing=False, group_by_length=False), measured=True).computed
        == 3 * 330
    )
    shape = sizes.shape(rows, 2, packed, measured=True)
    # 16 examples of 152 tokens on average.
    assert offers.workload(packed, shape, "none", device="cuda", processes=1).tokens == pytest.approx(
        16 * 455 / 3, abs=1
    )
    assert offers.workload(packed, shape, "none", device="cuda", processes=4).tokens == pytest.approx(
        4 * 455 / 3, abs=1
    )


def test_a_run_that_fits_gets_no_warning():
    assert offers.warning(shipped("smollm2-135m"), 2.0, 16.0, "cpu") is None
    assert offers.warning(shipped("smollm2-135m"), 2.0, None, "cpu") is None


def test_a_run_that_may_not_fit_gets_a_warning_with_two_settings():
    text = offers.warning(shipped("smollm2-135m"), 15.5, 16.0, "cpu")
    assert "batch_size (now 8)" in text
    assert "max_length (now 1024)" in text


def test_a_run_that_cannot_fit_is_refused_with_the_settings():
    with pytest.raises(
        ConfigError, match=r"30\.0 GiB of GPU memory.*16\.0 GiB are free: lower batch_size.*quantization=nf4"
    ):
        offers.warning(shipped("llama-3.1-8b"), 30.0, 16.0, "cuda")


def test_free_memory_of_this_machine_is_known():
    assert 0 < offers.free_gib("cpu") < 100_000


def test_every_planned_gpu_has_a_dated_and_sourced_price():
    for row in make(shipped("qwen2.5-7b"), SHAPE).offers:
        assert row.usd_per_hour > 0
        assert row.price_source
        assert row.price_date.year >= 2026


def test_a_sharded_base_takes_less_memory_per_gpu():
    whole, divided = (make(change("llama-3.1-8b", sharding=kind), SHAPE) for kind in ("none", "fsdp2"))
    assert offer(divided, "A100", "LoRA", 4).gib < offer(whole, "A100", "LoRA", 4).gib


def test_the_shortlist_has_the_recommended_offer_the_cheapest_of_each_method_and_the_fastest() -> None:
    made = make(shipped("llama-3.1-8b"), SHAPE)
    fitting = [row for row in made.offers if row.fits]
    short = offers.shortlist(made.offers)
    assert len(short) <= 4 < len(made.offers)
    assert any(row.recommended for row in short)
    assert {row.method for row in short} == {"LoRA", "QLoRA"}
    assert min(row.seconds for row in fitting) == min(row.seconds for row in short)
    assert min(row.usd for row in fitting) == short[0].usd


def test_the_plan_prints_the_shortlist_by_default() -> None:
    made = make(shipped("llama-3.1-8b"), SHAPE)
    every = msgspec.structs.replace(made, all_offers=True)
    assert len(every.lines()) == len(made.lines()) - 1 + len(made.offers) - len(offers.shortlist(made.offers))
