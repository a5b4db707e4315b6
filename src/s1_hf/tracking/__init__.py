"""Evaluations, sweeps and methods in trackio or Weights & Biases, as training has it: `--track trackio`.

A run of a folder is one run of the tracker, however many times it is killed and started again: `tracked.json` in the
folder holds its id, and whether its results have been logged. What was logged is not logged again.
"""

from s1_hf.tracking.run import Tracked
from s1_hf.tracking.trackers import check_tracker

__all__ = ["Tracked", "check_tracker"]
