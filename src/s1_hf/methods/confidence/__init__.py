"""Choosing among samples by how sure the model was of their tokens. See docs/confidence.md.

- `traces`: what was measured of one sample, and the numbers that are made of it.
- `samples`: a sample with its answer and its trace, and the row of those that were chosen among.
- `offline`: [`DeepConf`] and [`SelfCertainty`], which choose among N whole samples.
- `online`: [`DeepConfOnline`], which gives samples up while they are written.
"""

from s1_hf.methods.confidence.offline import DeepConf, SelfCertainty
from s1_hf.methods.confidence.online import DeepConfOnline

__all__ = ["DeepConf", "DeepConfOnline", "SelfCertainty"]
