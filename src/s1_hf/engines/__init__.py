"""Ways to run requests, and what every long run needs: a ledger, locks, progress."""
