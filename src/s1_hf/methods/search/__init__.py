"""Choosing among many with a scorer. See docs/search.md.

- `searches`: [`Rebase`], [`BeamSearch`], [`ParticleFiltering`]: one loop, and a rule for each (`allocation`).
- `scored`: [`BestOfN`], and what methods with a scorer have in common.
- `tree`: a search as it grows; `rewards`: what a scorer says of it; `electing`: the answer that is given.
"""

from s1_hf.methods.search.scored import BestOfN
from s1_hf.methods.search.searches import BeamSearch, ParticleFiltering, Rebase

__all__ = ["BeamSearch", "BestOfN", "ParticleFiltering", "Rebase"]
