"""The methods that `s1-hf search` compares, each made of the command's options."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.cli.engines import named
from s1_hf.cli.stopping import rules_of
from s1_hf.cli.sweep import numbers
from s1_hf.cli.terminal import messages
from s1_hf.forcing.budget import PER_PROMPT, Budget

if TYPE_CHECKING:
    from s1_hf.methods import Bench, Method
    from s1_hf.scoring import Scorer


class Options:
    """The command's options, and what several methods make of them.

    Args:
        given (`Mapping`): the options, by name.
        bench ([`Bench`]): what the methods are tried on.
        with_scorer (`bool`): whether any of them has a scorer, which is then loaded.
    """

    def __init__(self, given: Mapping[str, Any], bench: "Bench", with_scorer: bool) -> None:
        self.given, self.bench = given, bench
        self.widths = counts("--widths", given["widths"])
        self.point = Budget(**{name: getattr(given["budget"], name) for name in PER_PROMPT})
        self.voting: dict[str, Any] = {
            "samples": max(self.widths), "max_thinking_tokens": [self.point.max_thinking_tokens],
            "num_ignores": [self.point.num_ignores],
        }  # fmt: skip
        self.scored: dict[str, Any] = {}
        if with_scorer:
            scorer = _scorer(given, bench)
            self.scored = {
                "scorer": scorer, "widths": self.widths, "aggregation": given["aggregation"], "point": self.point,
                "separator": _separator(given["separator"], scorer),
            }  # fmt: skip
        self.searching = {**self.scored, **{name: given[name] for name in ("max_steps", "max_step_tokens")}}


def made_of(names: Sequence[str], given: Mapping[str, Any], bench: "Bench") -> list["Method"]:
    """The methods of these names.

    Args:
        given (`Mapping`): the command's options, by name.

    Raises:
        ValueError: an option is out of its range.
    """
    options = Options(given, bench, with_scorer=any(name in WITH_SCORER for name in names))
    return [_MAKERS[name](options) for name in names]


def counts(name: str, text: str, least: int = 1) -> list[int]:
    """The numbers of an option: different ones, of at least `least`."""
    found = [number for number in numbers(name, text) if number is not None]
    if min(found) < least or len(set(found)) < len(found):
        raise ValueError(f"`{name}` has to be different numbers of at least {least}, but is {text!r}.")
    return found


def refuse_idle(names: Sequence[str], given: Sequence[str]) -> None:
    """Nothing may be given in vain; an option that sounds as if it acted on all methods says on which it does not.

    Args:
        names (`Sequence[str]`): the methods.
        given (`Sequence[str]`): the options, by name.

    Raises:
        ValueError: an option has no effect on any of the methods.
    """
    said = [name for name in given if name in ACT_ON]
    idle = [name for name in said if not set(ACT_ON[name]) & set(names)]
    if idle:
        on = ", ".join(names)
        words = [f"{named([name])} has no effect on {on}: it is for {', '.join(ACT_ON[name])}." for name in idle]
        raise ValueError(" ".join(words))
    for name in said:
        others = ", ".join(one for one in names if one not in ACT_ON[name])
        if name in _SOUNDS_GENERAL and others:
            messages.print(f"{named([name])} has no effect on {others}{_SOUNDS_GENERAL[name]}.", soft_wrap=True)


def _rebase(options: Options) -> "Method":
    from s1_hf.methods import Rebase

    if not 0 < options.given["balance"] < math.inf:
        raise ValueError(f"`--balance` has to be a number above 0, but is {options.given['balance']!r}.")
    return Rebase(**options.searching, temperature=options.given["balance"])


def _beam(options: Options) -> "Method":
    from s1_hf.methods import BeamSearch

    return BeamSearch(**options.searching, expand=options.given["expand"])


def _particles(options: Options) -> "Method":
    from s1_hf.methods import ParticleFiltering

    return ParticleFiltering(**options.searching)


def _best(options: Options) -> "Method":
    from s1_hf.methods import BestOfN

    return BestOfN(**options.scored, election="best")


def _weighted(options: Options) -> "Method":
    from s1_hf.methods import BestOfN

    return BestOfN(**options.scored, election="weighted")


def _majority(options: Options) -> "Method":
    from s1_hf.methods import Parallel

    return Parallel(**options.voting, votes=options.widths)


def _deepconf(options: Options) -> "Method":
    from s1_hf.methods import DeepConf

    given = {name: options.given[name] for name in ("eta", "window", "measure")}
    return DeepConf(widths=options.widths, point=options.point, **given)


def _deepconf_online(options: Options) -> "Method":
    from s1_hf.methods import DeepConfOnline

    names = ("eta", "window", "warmup", "consensus")
    given = {name: options.given[name] for name in names}
    return DeepConfOnline(widths=options.widths, point=options.point, **given)


def _certainty(options: Options) -> "Method":
    from s1_hf.methods import SelfCertainty

    return SelfCertainty(widths=options.widths, power=options.given["power"], point=options.point)


def _steps(options: Options) -> "Method":
    from s1_hf.methods import StepConditional

    return StepConditional(counts("--steps", options.given["steps"]), forced=options.given["force_steps"])


def _forcing(options: Options) -> "Method":
    from s1_hf.methods import BudgetForcing

    caps: Any = [options.point.max_thinking_tokens]
    return BudgetForcing(caps, counts("--ignores", options.given["ignores"], least=0))


def _adaptive(options: Options) -> "Method":
    from s1_hf.methods import Adaptive

    given = options.given
    return Adaptive(
        most=options.widths, rule=given["vote_rule"], threshold=given["vote_threshold"],
        round_size=given["round_size"] or 1, point=options.point,
    )  # fmt: skip


def _short(options: Options) -> "Method":
    from s1_hf.methods import Parallel

    first = options.given["first"]
    pairs = [(first, k) for k in options.widths if k >= first]
    fewer = [str(k) for k in options.widths if k < first]
    if not pairs:
        raise ValueError(f"`--first` has to be at most the largest of `--widths`, but is {first}.")
    if fewer:
        messages.print(f"short leaves out `--widths` below `--first` {first}: {', '.join(fewer)}.", soft_wrap=True)
    return Parallel(**options.voting, shortest=pairs)


def _early(options: Options) -> "Method":
    from s1_hf.methods import EarlyExit

    rules = rules_of(options.given["stable"], options.given["confident"])
    return EarlyExit(rules=rules, every=options.given["every"], point=options.point)


def _spending(options: Options) -> "Method":
    from s1_hf.methods import Spending

    given = options.given
    ignores: Any = options.point.num_ignores
    if given["totals"] is None:
        raise ValueError("`--totals` has to say how many tokens spending has for all problems, such as 20000,40000.")
    if given["max_answer_tokens"] is None:
        raise ValueError("`--max-answer-tokens` has to be given for spending, which sets aside what answers can take.")
    largest = given["every"] * given["levels"]
    if largest >= options.bench.max_new_tokens:
        raise ValueError(
            f"`--levels` times `--every` has to be less than the limit of {options.bench.max_new_tokens:,} new tokens, "
            f"but is {largest:,}."
        )
    return Spending(
        caps=[given["every"] * (level + 1) for level in range(given["levels"])],
        totals=counts("--totals", given["totals"]), policies=("uniform", "stability", "confidence"),
        round_size=given["round_size"] or 8, num_ignores=ignores,
    )  # fmt: skip


_MAKERS: dict[str, Callable[[Options], "Method"]] = {
    "rebase": _rebase,
    "beam": _beam,
    "particles": _particles,
    "best": _best,
    "weighted": _weighted,
    "majority": _majority,
    "deepconf": _deepconf,
    "deepconf-online": _deepconf_online,
    "certainty": _certainty,
    "adaptive": _adaptive,
    "short": _short,
    "early": _early,
    "spending": _spending,
    "steps": _steps,
    "forcing": _forcing,
}

NAMES = tuple(_MAKERS)
_SEARCHES = ("rebase", "beam", "particles")
WITH_SCORER = (*_SEARCHES, "best", "weighted")
_DEEPCONF = ("deepconf", "deepconf-online")
_SAMPLED = (*WITH_SCORER, "majority", *_DEEPCONF, "certainty", "adaptive", "short")
_CAPPED = (*_SAMPLED, "early", "forcing")

ACT_ON: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("scorer", "scorer_convention", "separator", "aggregation"), WITH_SCORER),
    **dict.fromkeys(("max_steps", "max_step_tokens"), _SEARCHES),
    **dict.fromkeys(("widths", "temperature", "top_p", "top_k", "min_p"), _SAMPLED),
    **dict.fromkeys(("eta", "window"), _DEEPCONF),
    **dict.fromkeys(("warmup", "consensus"), ("deepconf-online",)),
    **dict.fromkeys(("vote_rule", "vote_threshold"), ("adaptive",)),
    **dict.fromkeys(("stable", "confident"), ("early",)),
    **dict.fromkeys(("levels", "totals"), ("spending",)),
    **dict.fromkeys(("steps", "force_steps"), ("steps",)),
    **dict.fromkeys(("max_thinking_tokens", "effort", "effort_table"), _CAPPED),
    "balance": ("rebase",),
    "expand": ("beam",),
    "power": ("certainty",),
    "measure": ("deepconf",),
    "round_size": ("adaptive", "spending"),
    "first": ("short",),
    "every": ("early", "spending"),
    "ignores": ("forcing",),
    "num_ignores": (*_SAMPLED, "early", "spending"),
}
"""On which methods an option acts; those that are not here act on all."""

_SOUNDS_GENERAL = {
    **dict.fromkeys(("temperature", "top_p", "top_k", "min_p"), ": greedy"),
    **dict.fromkeys(("max_thinking_tokens", "effort"), ""),
    "num_ignores": "",
}
"""Options that sound as if they acted on all methods; with why they do not."""


def _scorer(given: Mapping[str, Any], bench: "Bench") -> "Scorer":
    from s1_hf.scoring import Oracle

    if given["scorer"] == "oracle":
        idle = [name for name in ("scorer_convention", "separator", "aggregation") if name in given["said"]]
        if idle:
            raise ValueError(f"{named(idle)} has to be left out for the oracle, which looks at nothing but answers.")
        return Oracle(bench.problems)
    from s1_hf.scoring import RewardModel

    return RewardModel.load(given["scorer"], given["scorer_convention"], batch_size=given["batch_size"])


def _separator(given: str | None, scorer: "Scorer") -> str:
    if given is not None:
        return given.replace("\\n", "\n")
    convention = getattr(scorer, "convention", None)
    return getattr(convention, "separator", "\n\n")
