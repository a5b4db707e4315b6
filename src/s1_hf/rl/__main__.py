"""`python -m s1_hf.rl RECIPE [--field value ...]`, in every process of a run; also `--config RECIPE`."""

from s1_hf.sft.__main__ import run


def main() -> None:
    """Entry point of reinforcement learning."""
    run("s1_hf.rl", "grpo_embedded", "s1_hf.rl.job:REINFORCEMENT")


if __name__ == "__main__":
    main()
