"""A server for classifiers: OpenAI's chat API, labels with their log-probabilities. No torch."""
