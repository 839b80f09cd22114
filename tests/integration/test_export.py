"""A merged model: whole bfloat16 weights that compute what the adapter on its base computes."""

import json
from pathlib import Path

import msgspec
import pytest

from pipeline import export
from pipeline.evaluate import endpoints
from pipeline.evaluate.config import AdapterConfig
from serving import adapter_files
from serving.parity import HALF_PRECISION
from traffic import adapters, config
from traffic.artifacts import Home
from traffic.errors import InputError, ModelUnavailable

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own
]


def test_a_merged_model_answers_like_its_adapter_and_can_replace_it(tiny_adapter: Path, tmp_path: Path):
    import torch
    from transformers import AutoModelForCausalLM

    home = Home(tmp_path)
    made = export.run(tiny_adapter, home=home)
    assert made.max_logprob_gap < HALF_PRECISION.largest
    card, source = adapters.load(made.path), adapters.load(tiny_adapter)
    assert (card.name, card.merged, card.source) == (made.path.name, True, source.name)
    assert (card.call_sites, card.base_model) == (source.call_sites, source.base_model)

    # Loaded by nothing but its folder, as a server does.
    settings = json.loads((made.path / "config.json").read_bytes())
    assert settings["dtype"] == "bfloat16"
    assert "quantization_config" not in settings
    assert not (made.path / "adapter_config.json").exists()
    model = AutoModelForCausalLM.from_pretrained(made.path, dtype="auto")
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    items = adapters.load_parity(made.path)
    assert items == adapters.load_parity(tiny_adapter)
    apart, moved = [], []
    for item in items:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([item.prompt_ids + item.completion_ids])).logits[0].float()
        rows = logits.log_softmax(-1)[len(item.prompt_ids) - 1 : -1]
        found = [float(row[token]) for row, token in zip(rows, item.completion_ids, strict=True)]
        apart += [abs(one - other) for one, other in zip(found, item.logprobs, strict=True)]
        moved += [abs(one - other) for one, other in zip(found, item.base_logprobs, strict=True)]
    assert max(apart) < HALF_PRECISION.largest
    assert sum(moved) > 10 * sum(apart)

    again = export.run(tiny_adapter, home=home)
    assert again.path == made.path
    own = endpoints.own_model(AdapterConfig(name="adapter", adapter=made.adapter), card.task, home)
    assert own is not None
    assert (own.served_name, own.base_path, own.adapter_path) == (card.name, made.path, None)
    template = adapter_files.model_template(made.path)
    assert template == (made.path / "chat_template.jinja").resolve()


def test_an_unmergeable_adapter_is_refused(tiny_adapter: Path, tmp_path: Path):
    card = adapters.load(tiny_adapter)
    merged = msgspec.structs.replace(card, merged=True, source="desk.intent@00000000")
    gone = msgspec.structs.replace(card, base_model=msgspec.structs.replace(card.base_model, path="/nowhere"))
    for name, changed in (("merged", merged), ("gone", gone)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter.yaml").write_text(config.dump(changed))
    with pytest.raises(InputError, match="already a merged model"):
        export.run(tmp_path / "merged", home=Home(tmp_path))
    with pytest.raises(ModelUnavailable, match="/nowhere"):
        export.run(tmp_path / "gone", home=Home(tmp_path))
    with pytest.raises(InputError, match="merged model"):
        adapter_files.adapter_files(tmp_path / "merged")
    assert adapter_files.model_template(tmp_path) is None
