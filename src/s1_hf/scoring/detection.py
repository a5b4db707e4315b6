"""Which convention a reward model follows: by its configuration, else by what the caller says. Nothing is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s1_hf.scoring.conventions import TRL, Convention, MathShepherd, Outcome, Qwen, RLHFlow, Skywork

if TYPE_CHECKING:
    from transformers import PretrainedConfig

NAMED: dict[str, type] = {kind.name: kind for kind in (Qwen, MathShepherd, RLHFlow, Skywork, TRL, Outcome)}


def convention_of(config: PretrainedConfig, given: Convention | str | None = None) -> Convention:
    """The convention that is `given`, or its name, else the one that the configuration stands for.

    A token classification model is one of TRL's if its configuration has a `step_separator`, as the embedded one's.

    Raises:
        ValueError: there is no such name, or the configuration does not tell.
    """
    architecture = (config.architectures or ["none"])[0]
    if isinstance(given, str):
        return _of_name(given, config)
    if given is not None:
        return given
    if architecture == "Qwen2ForProcessRewardModel":
        return Qwen()
    if architecture == "Qwen2ForPrmModel":
        return Skywork()
    if architecture.endswith("ForTokenClassification") and getattr(config, "step_separator", None):
        return TRL(config.step_separator)
    if architecture.endswith("ForSequenceClassification") and config.num_labels == 1:
        return Outcome()
    raise ValueError(
        f"What the reward model expects does not follow from its configuration (architecture {architecture!r}). Name "
        f"its `convention`: one of {', '.join(NAMED)}, see docs/scoring.md."
    )


def _of_name(name: str, config: PretrainedConfig) -> Convention:
    if name not in NAMED:
        raise ValueError(f"`convention` has to be one of {', '.join(NAMED)}, but is {name!r}.")
    if name != TRL.name:
        return NAMED[name]()
    separator = getattr(config, "step_separator", None)
    if not separator:
        raise ValueError(
            "The separator between steps does not stand in this model's configuration. Name it, for example "
            "`convention=TRL(separator='\\n')`, with the class from `s1_hf.scoring.conventions`."
        )
    return TRL(separator)
