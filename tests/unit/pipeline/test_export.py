"""pipeline/export.py: adapters that are refused, and merged models that are discarded."""

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


def test_export_uses_the_tolerance_of_the_parity_check():
    assert parity.Tolerance(export.MAX_GAP, export.MEAN_GAP) == parity.HALF_PRECISION


@pytest.mark.parametrize("gaps", [[0.81, *[0.0] * 99], [0.09] * 100, [math.nan, 0.0]])
def test_a_merged_model_with_different_outputs_is_refused(gaps: list[float]):
    with pytest.raises(InputError, match=r"desk@1 answers otherwise .* nothing was written"):
        export.refuse_large_gaps(gaps, "desk@1")
    export.refuse_large_gaps([0.2, 0.0, 0.01, 0.01], "desk@1")


def test_a_different_base_model_is_refused_before_loading(tmp_path: Path):
    home, base = Home(tmp_path / "home"), tmp_path / "base"
    card = routers.write_adapter(home, "desk@1")
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"others")
    changed = msgspec.structs.replace(card, base_model=BaseModel("tiny", "sha256:0", str(base)))
    (home.adapters / "desk@1" / "adapter.yaml").write_text(config.dump(changed))
    with pytest.raises(InputError, match=r"holds other weights than those that desk@1 .* revision sha256:0"):
        export.run(home.adapters / "desk@1", home=home)


def test_weights_are_identified_by_content_or_hub_commit(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    revision = base_models.revision_of(tmp_path)
    assert not base_models.is_other(tmp_path, revision)
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert base_models.is_other(tmp_path, revision)
    assert base_models.is_other(Path("hub/snapshots/0123"), "4567")
    assert not base_models.is_other(Path("hub/snapshots/0123"), "0123")
    # Copied out of the hub's cache, nothing says which commit it was.
    assert not base_models.is_other(Path("copied/by/hand"), "0123")
