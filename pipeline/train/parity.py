"""parity.jsonl: PEFT's results with the saved adapter, for servers without PEFT.

Computed on the artefact as it is served: the adapter read back from its files, on the unquantised base model, both in
the job's compute dtype. This also detects QLoRA adapters whose answers depend on the quantisation error of the 4-bit
base.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from traffic.adapters import ParityItem

BATCH = 8


def compute(
    base: Any, folder: Path, prompts: Sequence[Sequence[int]], tokenizer: Any, max_tokens: int
) -> list[ParityItem]:
    """Greedy answers of the adapter in `folder` to prompts (token ids), with log-probabilities.

    An answer ends with the end-of-turn token or after `max_tokens`.
    """
    # PEFT would load the adapter in float32; vLLM uses the base model's dtype.
    model = PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=False).eval()
    items = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        for prompt, completion in zip(batch, greedy(model, batch, tokenizer, max_tokens), strict=True):
            logprobs, margins = score(model, prompt, completion)
            with model.disable_adapter():
                base_logprobs, _ = score(model, prompt, completion)
            items.append(ParityItem(list(prompt), completion, logprobs, margins, base_logprobs))
    return items


@torch.inference_mode()
def greedy(model: Any, prompts: Sequence[Sequence[int]], tokenizer: Any, max_tokens: int) -> list[list[int]]:
    """Generated token ids of each prompt, one batch, up to the end-of-turn token or `max_tokens`."""
    width = max(len(prompt) for prompt in prompts)
    end = int(tokenizer.convert_tokens_to_ids(tokenizer.eos_token))
    pad = int(tokenizer.pad_token_id)
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return [_until(row[width:].tolist(), end) for row in output]


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


@torch.inference_mode()
def score(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> tuple[list[float], list[float]]:
    """Log-probability of each completion token given the ones before, and the margin of the best token at each step."""
    ids = torch.tensor([[*prompt, *completion]], device=model.device)
    logits = model(input_ids=ids, logits_to_keep=len(completion) + 1).logits[0, :-1].float()
    logprobs = torch.log_softmax(logits, dim=-1)
    best = logprobs.topk(2, dim=-1).values
    chosen = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]
    return [round(x, 6) for x in chosen.tolist()], [round(x, 6) for x in (best[:, 0] - best[:, 1]).tolist()]
