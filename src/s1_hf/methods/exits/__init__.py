"""Stopping early. See docs/stopping.md.

- `trials`: answers that are tried while a row thinks, from the rows of a sweep; `thinker`: the same on a bench.
- `rules`: [`Stable`] and [`Confident`]; `early`: [`EarlyExit`], and [`early_exit`], the same of rows.
- `calibration`: [`calibrated`], the loosest rule that loses few right answers.
"""

from s1_hf.methods.exits.calibration import Calibration, calibrated
from s1_hf.methods.exits.early import EarlyExit, early_exit
from s1_hf.methods.exits.rules import Confident, Stable
from s1_hf.methods.exits.trials import Trial, trials_of

__all__ = ["Calibration", "Confident", "EarlyExit", "Stable", "Trial", "calibrated", "early_exit", "trials_of"]
