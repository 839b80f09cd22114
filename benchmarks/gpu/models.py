"""Creates models of a given architecture with random weights, and a tokenizer trained on the check's texts.

The classes are those of `transformers`, so all code that loads a folder of weights can load these.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.train import estimate, plan
from pipeline.train.config import Architecture
from traffic.errors import Unsupported

VOCABULARY = 8192
"""Maximum vocabulary of the tokenizer; the model's may be larger, so that its output layer has a realistic size."""
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}'
    "{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
"""The structure of Llama 3.2's template, with its clock."""
SPECIAL = {
    "llama": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
}
"""Control tokens by kind: first the beginning of a text, then the end of a turn."""


def tokenizer(kind: str, texts: Sequence[str], size: int) -> Any:
    """A byte-level BPE with the control tokens and the template of its kind, trained on `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL[kind],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=SPECIAL[kind][0],
        eos_token=SPECIAL[kind][1],
        pad_token=SPECIAL[kind][0],
        chat_template=LLAMA3 if kind == "llama" else CHATML,
    )


def build(
    folder: Path, arch: Architecture, texts: Sequence[str], device: str, note: Callable[[dict[str, Any]], None]
) -> int:
    """Write a random model of this architecture (bfloat16 safetensors, tokenizer, template) into `folder`.

    The weights are drawn on the device. Returns their number. Raises: Unsupported if the folder's disk is too small.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

    wanted, free = 2 * estimate.parameters(arch), shutil.disk_usage(folder.parent).free
    if wanted * 1.1 > free:
        raise Unsupported(f"{folder.parent} has {free / 1e9:.0f} GB free, the weights take {wanted / 1e9:.0f} GB")
    words = tokenizer(arch.kind, texts, min(arch.vocab, VOCABULARY))
    settings = {"llama": LlamaConfig, "qwen2": Qwen2Config}[arch.kind](
        **plan.published_sizes(arch),
        max_position_embeddings=8192,
        # With small weights a few steps would not change the loss of a small model.
        initializer_range=0.02 if arch.hidden >= 1024 else 0.1,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    torch.manual_seed(0)
    began = time.monotonic()
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.bfloat16)
    count: int = sum(weights.numel() for weights in model.parameters())
    note({"parameters": count, "planned_parameters": estimate.parameters(arch), "init_s": time.monotonic() - began})
    began = time.monotonic()
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    note({"write_s": time.monotonic() - began, "gb": wanted / 1e9})
    return count


def architecture(folder: Path) -> Architecture:
    """Architecture of a model written by `build`."""
    return plan.architecture_of(json.loads((folder / "config.json").read_bytes()), folder.name)


def tiny(arch: Architecture) -> Architecture:
    """The same kind of model at the size for a test."""
    # vLLM on a CPU has no attention for heads smaller than 32.
    return msgspec.structs.replace(
        arch, layers=2, hidden=64, intermediate=128, heads=2, kv_heads=1, vocab=2048, head_dim=64
    )
