"""One total of tokens for a set of problems. See docs/stopping.md.

- `policies`: who thinks on, in which order, and what is set aside: [`spend`].
- `replaying`: [`spend_rows`], from the rows of a sweep, with an oracle; `method`: [`Spending`], on a bench.
"""

from s1_hf.methods.spending.method import Spending
from s1_hf.methods.spending.policies import spend
from s1_hf.methods.spending.replaying import spend_rows

__all__ = ["Spending", "spend", "spend_rows"]
