"""PyTorch modules of an encoder classifier: a transformer, mean pooling, a linear head."""

from typing import Any

import torch
from torch import nn


class MeanPooled(nn.Module):
    """Embeddings of unit length: the mean of a text's last hidden states."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    @property
    def width(self) -> int:
        width: int = self.transformer.config.hidden_size
        return width

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Token ids and mask (texts, tokens) to (texts, width)."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask[..., None].to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return nn.functional.normalize(pooled, dim=-1)


class TextClassifier(nn.Module):
    """A mean-pooled encoder with a linear head; the loss is weighted by row."""

    def __init__(self, encoder: MeanPooled, labels: int, *, sets: bool, smoothing: float) -> None:
        """`sets`: labels are independent. `smoothing`: label smoothing of the training loss."""
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.width, labels)
        self._sets, self._smoothing = sets, smoothing

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """`labels`: columns (rows,); for label sets, 0 and 1 (rows, labels). `weights`: of the rows."""
        logits = self.head(self.encoder(input_ids, attention_mask)).float()
        if labels is None:
            return {"logits": logits}
        if self._sets:
            smoothed = labels.float() * (1 - self._smoothing) + self._smoothing / 2
            losses = nn.functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none").mean(1)
        else:
            smoothing = self._smoothing if self.training else 0.0
            losses = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        loss = losses.mean() if weights is None else (losses * weights).sum() / weights.sum().clamp(min=1e-9)
        return {"loss": loss, "logits": logits}
