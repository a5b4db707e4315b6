"""Models behind an OpenAI-compatible address: the connection, what is asked, and rows followed from outside."""
