"""pipeline/export.py: what is not merged, or not kept when it was."""

import math
from pathlib import Path

import msgspec
import pytest

from pipeline import export
from pipeline.train import base_models
from serving import parity
from tests.fakes import router as routers
from traffic import config
from traffic.adapters import BaseModel
from traffic.artifacts import Home
from traffic.errors import InputError

pytestmark = pytest.mark.slow


def test_the_bounds_are_those_that_a_server_is_held_to():
    assert parity.Tolerance(export.MAX_GAP, export.MEAN_GAP) == parity.HALF_PRECISION


@pytest.mark.parametrize("gaps", [[0.81, *[0.0] * 99], [0.09] * 100, [math.nan, 0.0]])
def test_a_merged_model_that_answers_otherwise_is_refused(gaps: list[float]):
    with pytest.raises(InputError, match=r"desk@1 answers otherwise .* nothing was written"):
        export.refuse_large_gaps(gaps, "desk@1")
    export.refuse_large_gaps([0.2, 0.0, 0.01, 0.01], "desk@1")


def test_a_base_that_is_not_the_one_of_training_is_refused_before_it_is_loaded(tmp_path: Path):
    home, base = Home(tmp_path / "home"), tmp_path / "base"
    card = routers.write_adapter(home, "desk@1")
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"others")
    changed = msgspec.structs.replace(card, base_model=BaseModel("tiny", "sha256:0", str(base)))
    (home.adapters / "desk@1" / "adapter.yaml").write_text(config.dump(changed))
    with pytest.raises(InputError, match=r"holds other weights than those that desk@1 .* revision sha256:0"):
        export.run(home.adapters / "desk@1", home=home)


def test_weights_are_told_apart_by_their_contents_or_by_the_hub_s_commit(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    revision = base_models.revision_of(tmp_path)
    assert not base_models.is_other(tmp_path, revision)
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert base_models.is_other(tmp_path, revision)
    assert base_models.is_other(Path("hub/snapshots/0123"), "4567")
    assert not base_models.is_other(Path("hub/snapshots/0123"), "0123")
    # Copied out of the hub's cache, nothing says which commit it was.
    assert not base_models.is_other(Path("copied/by/hand"), "0123")
