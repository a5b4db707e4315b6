"""Models behind an OpenAI-compatible address: the connection, what is asked, and rows that are followed from outside."""
