"""`accelerate launch -m s1_hf.evaluation MODEL --tasks ...`: `s1-hf eval` in every process."""

from s1_hf._lazy import require

if __name__ == "__main__":
    require("typer", "cli").run(require("s1_hf.cli.eval", "cli").evaluate)
