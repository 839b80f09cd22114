"""Runs the model in a thread: takes queued requests in batches of one adapter and generates token by token."""

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import DynamicCache

from serving.transformers_server.grammar import Constraint, Grammars, Matcher

PREFILL_TOKENS = 16384
"""Maximum prompt tokens in one batch, including padding."""
LogprobsMode = Literal["raw_logprobs", "processed_logprobs"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters of one answer."""

    max_tokens: int
    temperature: float = 1.0
    """0: greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all."""
    seed: int | None = None
    ignore_eos: bool = False
    constraint: Constraint | None = None
    logprobs: int | None = None
    """Number of alternatives returned per token; None: no log-probabilities."""
    prompt_logprobs: bool = False


@dataclass(frozen=True)
class Step:
    """One generated token."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()
    """Most probable first."""
    last: bool = False


@dataclass
class Request:
    """A prompt with its state of generation."""

    model: str
    prompt: Sequence[int]
    sampling: Sampling
    emit: Callable[[Step | BaseException], None]
    """Called in the engine's thread, with each step or with the error that ends the request."""
    prompt_logprobs: list[float] = field(default_factory=list)
    """Of all prompt tokens except the first; complete before the first step."""
    cancelled: bool = False
    generated: int = 0
    matcher: Matcher | None = None
    generator: torch.Generator | None = None


class Engine:
    """Serves a base model and adapters on it."""

    def __init__(
        self,
        model: Path,
        name: str,
        adapters: Mapping[str, Path],
        *,
        device: str = "cpu",
        dtype: str = "auto",
        max_batch: int = 32,
        logprobs_mode: LogprobsMode = "raw_logprobs",
    ) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)
        base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, use_safetensors=True, device_map=device)
        self.max_positions: int = getattr(base.config, "max_position_embeddings", 1 << 20)
        self.end = int(self.tokenizer.eos_token_id)
        # Adapter names in PEFT must not contain dots, which ours may.
        self._adapters = {adapter: f"adapter{number}" for number, adapter in enumerate(adapters)}
        for adapter, folder in adapters.items():
            options: dict[str, Any] = {"adapter_name": self._adapters[adapter], "autocast_adapter_dtype": False}
            if isinstance(base, PeftModel):
                base.load_adapter(str(folder), **options)
            else:
                base = PeftModel.from_pretrained(base, str(folder), **options)
        self._model = base.eval()
        self.models = (name, *adapters)
        self.grammars = Grammars(self.tokenizer, int(base.config.vocab_size), self.end)
        self._processed = logprobs_mode == "processed_logprobs"
        self._max_batch = max_batch
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._held: deque[Request] = deque()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        return self._thread.is_alive()

    def submit(self, request: Request) -> None:
        """Queue a request; results go to its `emit`. Raises: InputError for an invalid constraint."""
        if request.sampling.constraint is not None:
            request.matcher = self.grammars.matcher(request.sampling.constraint)
        if request.sampling.seed is not None:
            request.generator = torch.Generator(self._model.device).manual_seed(request.sampling.seed)
        self._waiting.put(request)

    # ------------------------------------------------------------------------------------------ scheduling

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            try:
                self._generate(batch)
            except Exception as error:  # noqa: BLE001  (any error ends only the requests of this batch)
                for request in batch:
                    request.emit(error)

    def _next_batch(self) -> list[Request]:
        """The oldest request, and others for the same model that fit into the batch."""
        if not self._held:
            self._held.append(self._waiting.get())
        while not self._waiting.empty():
            self._held.append(self._waiting.get())
        batch: list[Request] = []
        remaining: deque[Request] = deque()
        longest = 0
        for request in self._held:
            widest = max(longest, len(request.prompt))
            fits = len(batch) < self._max_batch and widest * (len(batch) + 1) <= PREFILL_TOKENS
            if request.cancelled:
                continue
            if not batch or (fits and request.model == batch[0].model):
                batch.append(request)
                longest = widest
            else:
                remaining.append(request)
        self._held = remaining
        return batch

    # ------------------------------------------------------------------------------------------ generation

    @torch.inference_mode()
    def _generate(self, batch: list[Request]) -> None:
        """Generate all answers of a batch, one token of each per step."""
        if not batch:
            return
        model = self._model
        if not isinstance(model, PeftModel):
            self._decode(batch)
        elif batch[0].model in self._adapters:
            model.set_adapter(self._adapters[batch[0].model])
            self._decode(batch)
        else:
            with model.disable_adapter():
                self._decode(batch)

    def _decode(self, batch: list[Request]) -> None:
        for request in batch:
            if request.sampling.prompt_logprobs:
                request.prompt_logprobs = self._prompt_logprobs(request.prompt)
        device = self._model.device
        width = max(len(request.prompt) for request in batch)
        # Left padding: the last position of each row is the one that is continued.
        rows = [[self.end] * (width - len(request.prompt)) + list(request.prompt) for request in batch]
        pads = [[0] * (width - len(request.prompt)) + [1] * len(request.prompt) for request in batch]
        ids, mask = torch.tensor(rows, device=device), torch.tensor(pads, device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache()
        while True:
            logits = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            tokens = [self._step(request, row) for request, row in zip(batch, logits.float(), strict=True)]
            unfinished = [row for row, token in enumerate(tokens) if token is not None]
            if not unfinished:
                return
            if len(unfinished) < len(batch):
                chosen = torch.tensor(unfinished, device=device)
                cache.batch_select_indices(chosen)
                mask, batch = mask[chosen], [batch[row] for row in unfinished]
            ids = torch.tensor([[tokens[row]] for row in unfinished], device=device)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=-1)
            positions = mask.sum(-1, keepdim=True) - 1

    def _step(self, request: Request, logits: torch.Tensor) -> int | None:
        """Choose and emit the next token of one answer; None when it was the last one."""
        if request.cancelled:
            return None
        sampling = request.sampling
        allowed = request.matcher.mask(logits) if request.matcher is not None else logits
        token = choose(allowed, sampling, request.generator)
        if request.matcher is not None:
            request.matcher.accept(token)
        request.generated += 1
        ended = token == self.end and not sampling.ignore_eos
        last = (
            ended or request.generated >= sampling.max_tokens or (request.matcher is not None and request.matcher.ended)
        )
        request.emit(self._logged(token, allowed if self._processed else logits, sampling.logprobs, last=last))
        return None if last else token

    def _logged(self, token: int, logits: torch.Tensor, alternatives: int | None, *, last: bool) -> Step:
        if alternatives is None:
            return Step(token, last=last)
        logprobs = torch.log_softmax(logits, dim=-1)
        best = logprobs.topk(alternatives)
        top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        return Step(token, float(logprobs[token]), top, last)

    def _prompt_logprobs(self, prompt: Sequence[int]) -> list[float]:
        ids = torch.tensor([list(prompt)], device=self._model.device)
        logits = self._model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        logprobs: list[float] = torch.log_softmax(logits, dim=-1).gather(1, ids[0, 1:, None])[:, 0].tolist()
        return logprobs


def choose(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None = None) -> int:
    """The next token, from the logits of one position, shape (vocabulary,)."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < len(logits):
        cutoff = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < cutoff, -math.inf)
    probabilities = torch.softmax(logits, dim=-1)
    if sampling.top_p < 1:
        ordered = probabilities.sort(descending=True)
        # A token stays if the more probable ones do not reach top_p without it: the first always does.
        dropped = ordered.values.cumsum(-1) - ordered.values >= sampling.top_p
        probabilities[ordered.indices[dropped]] = 0
    return int(torch.multinomial(probabilities, 1, generator=generator))
