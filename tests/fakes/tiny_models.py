"""Tiny random-weight Llama and Qwen2 models with a real tokenizer and chat template, made in a second.

They are the real classes of `transformers`, so everything that loads a folder of weights loads these.
"""

from pathlib import Path
from typing import Any, Literal

from benchmarks.gpu import models

CORPUS = [
    "please classify this message: refund, invoice, password, delivery, spam, greeting",
    "where is my parcel? the order number is 12345 and it has not arrived yet",
    "I forgot my password and cannot log in to my account",
    "Guten Tag, ich brauche eine Rechnung für meine Bestellung, danke",
    "system user assistant You are a helpful assistant. Answer with one label.",
]

Kind = Literal["llama", "qwen2"]


def tokenizer(kind: Kind) -> Any:
    """A byte-level BPE of about 400 tokens with the special tokens and the template of its kind."""
    return models.tokenizer(kind, CORPUS, 400)


def make(folder: Path, kind: Kind, *, seed: int = 0, hidden: int = 64, layers: int = 2) -> Path:
    """Write a model of this kind into `folder` (bfloat16 safetensors, tokenizer, template) and return it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    words = tokenizer(kind)
    numbers = {
        "vocab_size": len(words),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        # Larger than the usual 0.02, so that a few steps move the loss of so small a model.
        "initializer_range": 0.1,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        model: Any = LlamaForCausalLM(LlamaConfig(**numbers))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**numbers))
    model.to(torch.bfloat16).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
