"""Serves a base model and its LoRA adapters with transformers and PEFT, where vLLM does not run (macOS, aarch64).

Implements the part of vLLM's HTTP API that the product uses: chat and text completions with log-probabilities, label
sets and JSON schemas, adapters by model name, a key, /health. Slower than vLLM: only requests that start together share
a batch.
"""
