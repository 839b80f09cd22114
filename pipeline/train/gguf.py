"""Convert a GGUF file to bfloat16 safetensors, which training, PEFT and vLLM all load.

    python -m pipeline.train.gguf MODEL.gguf FOLDER HUB_NAME

Runs in a process of its own: it needs torch and several times the file's size in memory.
"""

import sys
from pathlib import Path


def convert(source: Path, folder: Path, name: str) -> None:
    """Dequantise `source` into `folder`; `name` is the hub id for its config.json."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source_options = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    # Without `dequantize` the weights stay packed and can be neither trained nor saved.
    model = AutoModelForCausalLM.from_pretrained(
        **source_options, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.config.name_or_path = name
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source_options).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
