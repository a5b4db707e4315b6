"""Stock servers, started so that every request can have its budget: `transformers serve` and `vllm serve`.

Nothing here is a server. Each of the two gets a middleware, which reads the budget of a request, refuses what is wrong
with it with status 400 and our message, and puts the report of what happened into the answer.
"""
