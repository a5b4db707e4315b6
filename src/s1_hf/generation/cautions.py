"""Budgets that are about to have no effect, or had none: an error or one warning a call (contract, rule 11)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.forcing.budget import NO_LIMIT, BudgetWarning
from s1_hf.forcing.decisions import Field, Limits
from s1_hf.forcing.families import FAMILIES
from s1_hf.forcing.report import Ended, Report
from s1_hf.generation.replay import can_record

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat

_OTHER_NAMES = "`max_tokens` of vLLM and servers, `max_completion_length` of TRL"
# Arguments of `generate` that can stop or bend thinking, and what to do about each.
_REACHES_INTO_THINKING = {
    "stop_strings": "give them as `answer_stop_strings` to limit them to the answer",
    "prefix_allowed_tokens_fn": "let it allow everything until thinking has been closed",
    "forced_eos_token_id": "leave it out: it ends the row at the length limit, in the midst of thinking",
}


def warn(text: str) -> None:
    """One warning, blamed on the caller of this package as far as that can be told."""
    warnings.warn(text, BudgetWarning, stacklevel=4)


def warn_about_arguments(kwargs: Mapping[str, Any], budget: Budget) -> None:
    """For arguments of `generate` that can fire inside thinking that has a budget."""
    for name, remedy in _REACHES_INTO_THINKING.items():
        if kwargs.get(name) and (budget.has_cap or budget.ignores_ends):
            warn(
                f"`{name}` can fire inside thinking, which then ends without an answer. If that is not meant, {remedy}."
            )


def warn_about_graph(device: torch.device) -> None:
    """If `cuda_graph` was asked for where none can be recorded."""
    if not can_record(device):
        warn(f"`cuda_graph` has no effect on {device.type}: only NVIDIA's GPUs replay a step. The tokens are the same.")


def check_room(
    automaton: Automaton, limits: Limits, state: torch.Tensor, room: int | None, is_quiet: bool = False
) -> None:
    """What fits into `room` new tokens, for rows that stand in `state`, `(7, batch_size)` on the CPU.

    Raises:
        ValueError: a minimum does not fit. A cap that leaves no room for an answer is warned about, if not `is_quiet`.
    """
    if room is None:
        return
    is_open, thinks = _thinks(automaton, state)
    opening = torch.where(is_open, 0, len(automaton.format.start))  # what has to be written before thinking
    most = state[Field.THINKING] + room - opening  # thinking tokens, if nothing else is written
    least = limits.min_thinking_tokens
    short = thinks & (least > 0) & (least > most)
    if bool(short.any()):
        row = int(short.int().argmax())
        raise ValueError(
            f"`min_thinking_tokens` has to fit into what may be generated, but is "
            f"{int(least[row])}, and only {max(int(most[row]), 0)} thinking tokens fit into "
            f"{room} new tokens. Raise `max_new_tokens` ({_OTHER_NAMES}), or lower the minimum."
        )
    capped = thinks & (limits.max_thinking_tokens < NO_LIMIT)
    full = capped & (limits.max_thinking_tokens + automaton.max_closing >= most)
    if bool(full.any()) and not is_quiet:
        row = int(full.int().argmax())
        needed = (
            int(limits.max_thinking_tokens[row] + opening[row] - state[Field.THINKING, row]) + automaton.max_closing
        )
        warn(
            f"`max_thinking_tokens` leaves no room for an answer: thinking up to it and closing take "
            f"{needed} of {room} new tokens. Raise `max_new_tokens` ({_OTHER_NAMES}), or lower the cap."
        )


def warn_about_closed_prompts(automaton: Automaton, limits: Limits, state: torch.Tensor) -> None:
    """For budgeted rows whose prompts have closed thinking; `state` is `(7, batch_size)` on the CPU."""
    _, thinks = _thinks(automaton, state)
    closed = ~thinks & (state[Field.ENDED] == Ended.NEVER_STARTED) & has_budget(limits)
    if bool(closed.any()) and not automaton.format.interleaved:
        warn(
            "A thinking budget has no effect on a prompt that has closed thinking already, as chat templates do where "
            "thinking is switched off, or before a tool was called in the same turn (a model that then thinks again "
            f"needs `ThinkingFormat.from_tokenizer(tokenizer, interleaved=True)`). {_make_it_think(automaton.format)}"
        )


def warn_about_reports(reports: Sequence[Report], automaton: Automaton, limits: Limits, state: torch.Tensor) -> None:
    """For budgeted rows that never thought, and rows that have no answer.

    Args:
        state (`torch.LongTensor` of shape `(7, rows)`): where the prompts had led, on the CPU.
    """
    budgeted = has_budget(limits).cpu()
    if len(reports) != len(budgeted):  # beam search may return some of its rows only
        return
    _, thinks = _thinks(automaton, state)  # of the others a warning was given before
    idle = torch.tensor([report.ended == "never_started" and len(report.forced) > 0 for report in reports])
    if bool((idle & budgeted & thinks).any()):
        turn = automaton.format.turn_text or "none"
        warn(
            "A thinking budget had no effect: in a row, no thinking was seen (opened by "
            f"{automaton.format.start_text!r}, in a turn opened by {turn!r}). {_make_it_think(automaton.format)}"
        )
    forced = len(automaton.answer_ids)  # what a cut puts at the answer's beginning
    for report in reports:
        is_cut = report.ended in ("cut", "looped")
        stopped = report.forced[-1:] == (False,)  # by an end of sequence of its own, and not for want of room
        if stopped and (is_cut or report.ended == "natural") and report.answer_tokens == forced * is_cut:
            warn(
                "A row has no answer: the model stopped right after its thinking. Check that the prompt asks for one; "
                "after a cut, another `answer_prefix` may help."
            )
            return


def _make_it_think(format: ThinkingFormat) -> str:
    """What to do about a model that does not think."""
    how = "from_tokenizer(tokenizer, force_start=True)"
    if format.name not in FAMILIES:  # its delimiters have been named, and a tokenizer does not know them
        start, close = format.start_text, format.close_text
        how = f"from_delimiters(tokenizer, start={start!r}, close={close!r}, force_start=True)"
    return (
        "If the model should think, open thinking in the prompt (for many chat templates: "
        "`chat_template_kwargs={'enable_thinking': True}`), or have it forced: "
        f"`format=ThinkingFormat.{how}`, on the command line `--force-start`."
    )


def warn_about_sampling() -> None:
    """For a processor that was not said how `generate` decodes, at the first token that was not its pick."""
    warn(
        "`generate` does not decode greedily, which the processor was not told: caps, minimums and ignores hold, but "
        "what is sampled is not exactly what stopping and prompting again would give. Take all arguments from "
        "`budget_forcing(model, tokenizer, ...)`, or give the processor `generation_config=model.generation_config`."
    )


def has_budget(limits: Limits) -> torch.Tensor:
    """Which rows have any budget; `bool` of shape `(batch_size,)`."""
    capped = limits.max_thinking_tokens < NO_LIMIT
    return capped | (limits.min_thinking_tokens > 0) | (limits.num_ignores > 0)


def _thinks(automaton: Automaton, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of rows behind their prompts: which think, and which think or may begin to; `bool` of shape `(batch_size,)`."""
    cell = state[Field.CELL]
    is_open = (cell >= automaton.think) & (cell < automaton.answer)
    is_opening = (cell > automaton.done) & (state[Field.ENDED] == Ended.NEVER_STARTED)  # by force
    return is_open, is_open | is_opening | (cell < automaton.think)
