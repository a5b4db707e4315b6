"""The contract of budget forcing (docs/semantics.md): settings, formats, decisions. Torch and a tokenizer, no host."""
