"""`accelerate launch -m s1_hf.evaluation MODEL --tasks ...`: `s1-hf eval` in every process."""

from s1_hf._lazy import require
from s1_hf.isolation import isolated_children
from s1_hf.visible import guard_terminal

if __name__ == "__main__":
    guard_terminal()
    with isolated_children():
        require("typer", "cli").run(require("s1_hf.cli.eval", "cli").evaluate)
