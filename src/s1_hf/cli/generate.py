"""`s1-hf generate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.terminal import STYLES, console, messages, plain_errors, print_json, quiet_loading
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.report import forced_positions
from s1_hf.records import TEXT, Kind, check, read_json
from s1_hf.visible import visible

if TYPE_CHECKING:
    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion
    from s1_hf.generation.streaming import PieceKind


@takes_budget()
def generate(
    model: o.Model,
    question: Annotated[str | None, typer.Argument(help="The question; '-' reads it from stdin.")] = None,
    chat: Annotated[
        Path | None, typer.Option(help="A JSON file: a list of messages.", exists=True, dir_okay=False)
    ] = None,
    *,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    seed: o.Seed = 0,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Maximum tokens in all; by default as many as fit.", min=1, rich_help_panel="Decoding"),
    ] = None,
    dtype: o.Dtype = "auto",
    system_prompt: o.SystemPrompt = None,
    no_chat_template: o.NoChatTemplate = False,
    chat_template_kwargs: o.ChatTemplateKwargs = None,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    as_json: o.AsJson = False,
) -> None:
    """Answer one question under a thinking budget, and show it as it is written.

    On a terminal thinking is dim and forced text is red; a pipe gets the plain text. What budget forcing did is said
    on stderr.

    Examples:

    s1-hf generate Qwen/Qwen3-8B "How many r are in strawberry?" --max-thinking-tokens 500

    s1-hf generate simplescaling/s1.1-32B - --num-ignores 2 < question.txt > answer.txt

    s1-hf generate embedded "Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then
    every 8 seconds. When do they first flash together?" --num-ignores 1
    """
    with plain_errors():
        given = _prompt(question, chat, system_prompt)
        o.check_sampling(temperature, top_p, top_k, min_p)
        decoding: dict[str, Any] = {"max_new_tokens": max_new_tokens} if max_new_tokens is not None else {}
        if temperature:
            decoding |= {"do_sample": True, "temperature": temperature, "top_k": top_k or 0, "min_p": min_p}
            decoding |= {} if top_p is None else {"top_p": top_p}
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        template = o.template_arguments(chat_template_kwargs)
        forcing: dict[str, Any] = {"budget": budget, "format": said, "chat_template_kwargs": template}
        where = {"revision": revision, "trust_remote_code": trust_remote_code, "chat_template": not no_chat_template}
        checkpoint, forcing["format"] = _find(model, where, given, forcing, decoding)
        answers = {} if max_answer_tokens is None else {"max_answer_tokens": max_answer_tokens}
        loaded = checkpoint.load(dtype=dtype)
        start = time.monotonic()
        with _progress() if as_json else _stream() as write:
            completion = _generate(loaded, checkpoint, given, write, seed, **forcing, **decoding, **answers)
        seconds = time.monotonic() - start
    if as_json:
        settings = {"model": model, "revision": revision, "dtype": dtype, "seed": seed, "format": said}
        settings |= {"chat_template": not no_chat_template, "chat_template_kwargs": template}
        settings |= budget.to_dict() | decoding | answers
        print_json(_as_json(given, completion, settings, seconds), ensure_ascii=False)
    messages.print(_summary(completion, seconds), highlight=False, soft_wrap=True)


_CONTENT = Kind("a text, a list of parts, or null", lambda value: value is None or isinstance(value, (str, list)))


def _prompt(question: str | None, chat: Path | None, system_prompt: str | None) -> list[dict[str, Any]] | str:
    """A text, or the messages of a chat."""
    if (question is None) == (chat is None):
        raise ValueError("Give a question, '-' to read it from stdin, or `--chat` with a JSON file: one of these.")
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    if chat is None:
        text = sys.stdin.read().strip() if question == "-" else str(question).strip()
        if not text:
            raise ValueError("The question has to be a text, but is empty.")
        return [*system, {"role": "user", "content": text}] if system else text
    found = read_json(chat)
    if not isinstance(found, list) or not found:
        raise ValueError(f"`--chat` has to hold a list of messages with `role` and `content`, but {chat} does not.")
    for number, message in enumerate(found, 1):
        check(message, {"role": TEXT}, f"Message {number} of {chat}", optional={"content": _CONTENT})
    if system and any(message.get("role") == "system" for message in found):
        raise ValueError(f"`--system-prompt` has to be left out, because {chat} has a system message.")
    return [*system, *found]


def _find(
    model: str, where: dict[str, Any], prompt: Any, forcing: dict[str, Any], decoding: dict[str, Any]
) -> tuple[Checkpoint, ThinkingFormat]:
    """Configuration, tokenizer and format; whatever is wrong with the settings is said before the weights are read."""
    from transformers import GenerationConfig

    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.formats import format_of_settings
    from s1_hf.generation.chats import prompt_ids
    from s1_hf.generation.context import check_fits
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor

    quiet_loading(model)
    checkpoint = Checkpoint.find(model, **where)
    context, wanted = checkpoint.context, decoding.get("max_new_tokens")
    limits = {"max_length": context} if wanted is None else {}
    processor = BudgetForcingLogitsProcessor(
        checkpoint.tokenizer,
        generation_config=GenerationConfig(**decoding, **limits),
        budget=forcing["budget"],
        format=format_of_settings(checkpoint.tokenizer, forcing["format"]),
    )
    processor.check_vocabulary(checkpoint.config.get_text_config().vocab_size)
    length = len(prompt_ids(checkpoint.tokenizer, processor.format, prompt, forcing["chat_template_kwargs"]))
    check_fits(length, wanted, context, name="--max-new-tokens")
    return checkpoint, processor.format


def _generate(
    model: Any, checkpoint: Checkpoint, prompt: Any, write: Callable[[str, PieceKind], None], seed: int, **settings: Any
) -> Completion:
    import torch

    from s1_hf.generation.generate import generate
    from s1_hf.generation.streaming import ThinkingStreamer

    torch.manual_seed(seed)
    (completion,) = generate(model, checkpoint.tokenizer, prompt, streamer=ThinkingStreamer(write), **settings)
    return completion


@contextmanager
def _stream() -> Iterator[Callable[[str, PieceKind], None]]:
    """What writes a piece of text to stdout; the last line is ended."""

    def write(text: str, kind: PieceKind) -> None:
        if console.is_terminal:
            console.out(visible(text), style=STYLES[kind] or None, highlight=False, end="")
        else:  # as the model wrote it, to the last tab
            sys.stdout.write(text)
            sys.stdout.flush()

    yield write
    sys.stdout.write("\n")
    sys.stdout.flush()


@contextmanager
def _progress() -> Iterator[Callable[[str, PieceKind], None]]:
    """What counts pieces of text, on a terminal's stderr."""
    with messages.status("Reading the prompt") as status:
        pieces = 0

        def count(text: str, kind: PieceKind) -> None:
            nonlocal pieces
            pieces += 1
            status.update(f"Writing, about {pieces:,} tokens")

        yield count


def _as_json(prompt: Any, completion: Completion, settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    report = asdict(completion.report) | {"forced": forced_positions(completion.forced)}
    return {
        "thinking": completion.thinking,
        "answer": completion.answer,
        "output": completion.text,
        "token_ids": completion.token_ids,
        "report": report,
        "seconds": round(seconds, 3),
        "prompt": prompt,
        "settings": settings,
        "versions": {"s1_hf": version("s1-hf")} | {name: version(name) for name in ("torch", "transformers")},
    }


def _summary(completion: Completion, seconds: float) -> str:
    report = completion.report
    ends = "1 end" if report.ends_ignored == 1 else f"{report.ends_ignored} ends"
    return (
        f"thinking: {report.thinking_tokens:,} tokens, ended {report.ended}, {ends} ignored; "
        f"answer: {report.answer_tokens:,} tokens; {len(completion.token_ids) / seconds:,.1f} tokens/s"
    )
