"""Classifiers of short texts: the baselines for a fine-tuned language model."""
