"""Serves a base model and its LoRA adapters with transformers and PEFT, where vLLM does not run (macOS, aarch64).

The part of vLLM's HTTP API that the product uses: chat and text completions with log-probabilities, label sets and
JSON schemas, model names for adapters, a key, health. Slower than vLLM: requests share a batch only when they begin
together.
"""
