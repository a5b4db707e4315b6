"""Asks a model again for answers, and compares them token for token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.engines.request import Request, digest, request_from_text
from s1_hf.records import OBJECT, TEXT, Kind, Schema, check, or_null
from s1_hf.results.rows import Row, pieces
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.engines.transformers_engine import TransformersEngine
    from s1_hf.generation.chats import Completion, Prompt

_RUN: Schema = {"model": TEXT}
_MORE: Schema = {"revision": TEXT, "dtype": TEXT, "asked": OBJECT, "engine": OBJECT}
_FORMAT = Kind("a name or settings", lambda value: isinstance(value, str | dict))
_ASKED: Schema = {
    "system_prompt": or_null(TEXT), "chat_template_kwargs": OBJECT, "format": or_null(_FORMAT),
}  # fmt: skip


@dataclass(frozen=True)
class Rerun:
    """A row that was asked for again.

    Args:
        agrees (`bool`, *optional*): whether every token is the same, and forced where it was; `None`: it could not be
            asked for.
        why (`str`): what differs, or what is missing.
    """

    task: str
    method: str
    setting: str
    problem: str
    sample: int
    agrees: bool | None
    why: str


class Asker:
    """Asks again for rows of some runs.

    Args:
        runs (`Mapping`): by name, what each run's `about.json` says.
        model, dtype (`str`, *optional*): in place of those of the runs.
        batch_size (`int`): rows generated together.
    """

    def __init__(
        self, runs: Mapping[str, Mapping[str, Any]], *, model: str | None, dtype: str | None, batch_size: int
    ) -> None:
        self._runs, self._model, self._dtype, self._batch_size = runs, model, dtype, batch_size

    def ask(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> list[Rerun]:
        """Each row beside what the model gives now.

        Raises:
            ValueError: what a run says of itself is not what it has to be. OSError: its model cannot be read.
        """
        left, found = list(rows), dict[int, Rerun]()
        why = "No run says how it was asked."
        for name, about in self._runs.items():
            if not left or about.get("model") is None or "asked" not in about:
                continue
            engine = self._engine(about, f"pack.json: run {name!r}")
            asked, others = {}, []
            for row in left:
                request = self._request(row, about, engine)
                if isinstance(request, str):
                    why = request
                    others.append(row)
                else:
                    asked[id(row)] = request
            these = [row for row in left if id(row) in asked]
            found |= self._compared(these, asked, engine, about, len(found), progress)
            left = others
        for row in left:
            found[id(row)] = _rerun(row, None, why)
        return [found[id(row)] for row in rows]

    def _engine(self, about: Mapping[str, Any], where: str) -> TransformersEngine:
        from s1_hf.engines.checkpoint import Checkpoint
        from s1_hf.engines.transformers_engine import TransformersEngine
        from s1_hf.forcing.formats import format_of_settings

        check(dict(about), _RUN, where, optional=_MORE)
        check(about["asked"], {}, f"{where}: `asked`", optional=_ASKED)
        name, revision = self._model or about["model"], about.get("revision", "main")
        checkpoint = Checkpoint.find(name, revision=revision)
        fmt = format_of_settings(checkpoint.tokenizer, about["asked"].get("format"))
        loading = {"dtype": self._dtype or about.get("dtype", "auto")}
        return TransformersEngine.from_checkpoint(checkpoint, format=fmt, batch_size=self._batch_size, loading=loading)

    def _request(self, row: Row, about: Mapping[str, Any], engine: TransformersEngine) -> Request | str:
        """What was asked for, or why it is not known."""
        from s1_hf.generation.chats import prompt_ids

        assert row.request is not None and row.budget is not None
        options = about["asked"].get("chat_template_kwargs") or {}
        prompt = _prompt(row.question, about["asked"].get("system_prompt"), bool(engine.tokenizer.chat_template))
        ids = tuple(prompt_ids(engine.tokenizer, engine.format, prompt, options))
        where = f"The request of problem {shortened(row.problem, 40)!r}"
        more = {"prompt": ids, "budget": row.budget, "task": row.task, "problem": row.problem}
        request, key = request_from_text(row.request, where, **more)
        if request.key == key:
            return request
        return (
            "More than the question was asked (an instruction, a count of steps), or the chat template here writes "
            "another prompt: asking again would ask something else."
        )

    def _compared(
        self,
        rows: Sequence[Row],
        asked: Mapping[int, Request],
        engine: TransformersEngine,
        about: Mapping[str, Any],
        before: int,
        progress: Callable[[int, int], None],
    ) -> dict[int, Rerun]:
        if not rows:
            return {}
        requests = list({asked[id(row)].key: asked[id(row)] for row in rows}.values())
        engine.check(requests)
        done: dict[str, Completion] = {}
        for batch in engine.run(requests, lambda rows: None):
            done.update((request.key, completion) for request, completion in batch)
            progress(before + len(done), before + len(requests))
        hints = _hints(engine, about)
        found = {}
        for row in rows:
            completion = done[asked[id(row)].key]
            agrees = digest([completion.token_ids, completion.forced])[:32] == row.digest
            why = "" if agrees else f"{_unlike(row, completion, engine)} {hints}".strip()
            found[id(row)] = _rerun(row, agrees, why)
        engine.forget_weights()
        return found


def _prompt(question: str, system: str | None, is_chat: bool) -> Prompt:
    if system is None:
        return question
    if not is_chat:
        return f"{system}\n\n{question}"
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def _rerun(row: Row, agrees: bool | None, why: str) -> Rerun:
    return Rerun(row.task, row.method, row.setting, row.problem, row.sample, agrees, why)


def _unlike(row: Row, completion: Completion, engine: TransformersEngine) -> str:
    """Where an answer first differs, as far as the row tells."""
    report = completion.report
    if not row.transcript:
        return (
            f"{row.thinking_tokens:,} thinking and {row.answer_tokens:,} answer tokens there ({row.ended}), "
            f"{report.thinking_tokens:,} and {report.answer_tokens:,} here ({report.ended})."
        )
    there = "".join(piece["text"] for piece in row.transcript)
    here = "".join(piece["text"] for piece in pieces(engine.tokenizer, completion.token_ids, completion.forced))
    if there == here:
        return "The same text, in other tokens or forced elsewhere."
    place = next((i for i, (a, b) in enumerate(zip(there, here, strict=False)) if a != b), min(len(there), len(here)))
    said = f"{shortened(there[place : place + 30], 30)!r} there, {shortened(here[place : place + 30], 30)!r} here"
    return f"From character {place + 1:,} on: {said}."


def _hints(engine: TransformersEngine, about: Mapping[str, Any]) -> str:
    """What may explain a difference."""
    from s1_hf.engines.fingerprint import weights_in_memory

    told = about.get("engine", {})
    hints = []
    own = str(engine.identity["weights"]).split()[0], weights_in_memory(engine.model)
    if isinstance(told.get("weights"), str) and told["weights"].split(" ")[0] not in own:
        hints.append("The weights are others.")
    if told.get("engine", "transformers") != "transformers":
        hints.append(f"The run's engine was {shortened(str(told['engine']), 20)}, and this is transformers.")
    if isinstance(told.get("format"), dict) and told["format"] != _plain(asdict(engine.format)):
        hints.append("The thinking format is another one.")
    if str(engine.model.dtype) != "torch.float32":
        hints.append(f"In {str(engine.model.dtype).removeprefix('torch.')} other batches and machines round otherwise.")
    return " ".join(hints)


def _plain(value: Any) -> Any:
    """As it comes out of JSON."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
