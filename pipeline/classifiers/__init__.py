"""Classifiers of short texts: the candidates that a fine-tuned language model has to beat."""
