"""Budget forcing in the `generate` of transformers."""
