"""Figures: numbers and axes in, axes out; nothing is shown or saved here. Needs the `plot` extra.

- `scaling`: accuracy over thinking tokens; markers show what was done to the thinking (the paper's figure 1).
- `compare`: accuracy over all tokens, one line per method (figures 4, 6 and 7), and their `frontier`.
- `performance`: the best accuracy of each method, with Control and Scaling (table 3).
- `ended`, `lengths`: how thinking ended, and how long it was, one row per setting.
- `kept`: how much of the accuracy each cap keeps, and the caps that efforts stand for.
- `sample_efficiency`: accuracy over the number of training examples (figure 2).
- `training`: loss, gradient norm and learning rate (figure 9).

All are sized for a 3.3-inch column, or for two if names need the room. Names may contain anything: they are drawn
literally, and long ones are shortened. Colours and labels can be given, `colors={"cap": "red"}` by name or
`colors=["red", ...]` in turn; otherwise colours are Okabe and Ito's, or those of matplotlib's cycle if you changed it.
"""

from s1_hf.plots.comparing import Curve, compare, frontier, performance
from s1_hf.plots.keeping import kept
from s1_hf.plots.scaling import ScalingPoint, scaling
from s1_hf.plots.thinking import ended, lengths
from s1_hf.plots.training import TrainedModel, sample_efficiency, training

__all__ = [
    "Curve",
    "ScalingPoint",
    "TrainedModel",
    "compare",
    "ended",
    "frontier",
    "kept",
    "lengths",
    "performance",
    "sample_efficiency",
    "scaling",
    "training",
]
