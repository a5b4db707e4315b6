"""A folder to the Hub: what would go where, and the upload, by huggingface_hub, as one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.engines.locking import exclusive
from s1_hf.evaluation.hub import FOLDER as EVAL_RESULTS
from s1_hf.evaluation.hub import propose
from s1_hf.files import inside, write_text
from s1_hf.publishing.cards import CARD, is_ours, new_card
from s1_hf.publishing.files import Files, check_no_secrets, files_of
from s1_hf.publishing.folders import RESULTS, Kind, kind_of
from s1_hf.publishing.refusals import in_words

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REPORT = "report.html"
_TYPES = {"model": "a model", "dataset": "a data set", "space": "a Space"}


@dataclass(frozen=True)
class Plan:
    """What would go where.

    Args:
        folder (`Path`), kind ([`Kind`]): what is pushed.
        repo (`str`): where to: `NAME` or `OWNER/NAME`.
        files ([`Files`]): as they lie in the folder now.
        card (`str`, *optional*): the card that will be written into the folder first.
        writes_report (`bool`): so will `report.html`.
        eval_results_to (`str`, *optional*): a model's repository that gets the entries of `.eval_results` proposed.
    """

    folder: Path
    kind: Kind
    repo: str
    files: Files
    card: str | None
    writes_report: bool
    eval_results_to: str | None = None

    @property
    def entries(self) -> list[Path]:
        """The files in `.eval_results`."""
        return [self.folder / name for name in self.files.go if name.startswith(f"{EVAL_RESULTS}/")]


@dataclass(frozen=True)
class Pushed:
    """Where it is.

    Args:
        repo, url (`str`): the repository, and its address.
        commit (`str`): the address of the commit.
        pull_request (`str`, *optional*): the address of the pull request, if it is one.
        proposed (`str`, *optional*): that of the one with entries of results.
        kept_card (`bool`): the repository has a card that somebody wrote, which was left as it is.
    """

    repo: str
    url: str
    commit: str
    pull_request: str | None = None
    proposed: str | None = None
    kept_card: bool = False


def plan_of(folder: str | Path, repo: str, *, checkpoint: bool = False, eval_results_to: str | None = None) -> Plan:
    """Look at a folder; nothing is written, and nobody is asked.

    Args:
        folder (`str` or `Path`): a model, a data set, a pack or results; see [`s1_hf.publishing.folders.kind_of`].
        repo (`str`): `NAME` or `OWNER/NAME`.
        checkpoint (`bool`, defaults to `False`): let the checkpoint of a training run through.
        eval_results_to (`str`, *optional*): the repository of the model that results are of.

    Raises:
        ValueError: the folder is nothing that can be pushed, not whole, or holds a secret; a name is none of the Hub's.
    """
    hub = require("huggingface_hub", "eval")
    folder = Path(folder)
    for name in filter(None, (repo, eval_results_to)):
        try:
            require("huggingface_hub.utils", "eval").validate_repo_id(name)
        except ValueError as error:
            raise ValueError(f"{name!r} is no name of a repository: {error}") from None
    kind = kind_of(folder, checkpoint=checkpoint)
    files = files_of(folder, kind)
    check_no_secrets(folder, files, hub.get_token())
    writes_report = kind == RESULTS and REPORT not in files.go and find_spec("matplotlib") is not None
    plan = Plan(folder, kind, repo, files, new_card(folder, kind), writes_report, eval_results_to)
    if eval_results_to is not None and not plan.entries:
        raise ValueError(
            f"{folder} has no entries in {EVAL_RESULTS}, which could be proposed: `s1-hf eval` writes one for each "
            "whole benchmark of the Hub, such as s1:math500 without `--max-samples`."
        )
    return plan


def push(
    plan: Plan,
    *,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Pushed:
    """Write what is missing into the folder (card, report), and push it as one commit: all of it is there, or nothing.

    Interrupted at any moment and called again, it ends the same; large files that the Hub has are not sent again.

    Args:
        plan ([`Plan`]): by [`plan_of`].
        private (`bool`, defaults to `False`): make a new repository private. One that is public is refused.
        revision (`str`, *optional*): a branch, made if it is not there.
        create_pr (`bool`, defaults to `False`): open a pull request in a repository that exists.
        progress (`Callable`, *optional*): told how far the report is, if it has to be written; huggingface_hub shows
            the rest.

    Raises:
        ValueError: there is no token, or the Hub refuses; the message says what to do. BlockingIOError: a run is
            writing into the folder.
    """
    if create_pr and revision is not None:
        raise ValueError("A pull request is to the main branch: leave out `--revision` or `--create-pr`.")
    hub = require("huggingface_hub", "eval")
    if hub.is_offline_mode():
        raise ValueError("HF_HUB_OFFLINE is set, and nothing can be pushed offline. Unset it.")
    if hub.get_token() is None:
        raise ValueError("There is no token of the Hub: log in (`hf auth login`), or set HF_TOKEN.")
    api = hub.HfApi()
    with ExitStack() as held:
        held.enter_context(exclusive(plan.folder))
        held.enter_context(in_words(plan.repo, plan.kind.repo_type))
        repo = _full_name(api, plan.repo)
        exists = _check_repo(api, repo, plan.kind.repo_type, private, create_pr)
        files = _written(plan, progress)
        where: dict[str, Any] = {"repo_id": repo, "repo_type": plan.kind.repo_type}
        if not exists:
            api.create_repo(**where, private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(**where, branch=revision, exist_ok=True)
        keeps = exists and plan.card is not None and _has_other_card(api, where, revision)
        done = api.create_commit(
            **where,
            operations=[
                hub.CommitOperationAdd(name, str(plan.folder / name)) for name in files if name != CARD or not keeps
            ],
            commit_message=f"Push {plan.kind.name.split(' ', 1)[-1]} with s1-hf",
            revision=revision,
            create_pr=create_pr,
        )
        proposed = None
        if plan.eval_results_to is not None:
            proposed = propose(plan.entries, plan.eval_results_to)
        url = f"{api.endpoint}/{'datasets/' if plan.kind.repo_type == 'dataset' else ''}{repo}"
        return Pushed(repo, url, done.commit_url, done.pr_url, proposed, keeps)


def _written(plan: Plan, progress: Callable[[str, int, int], None] | None) -> Sequence[str]:
    """Card and report are written; returns all files that go."""
    if plan.writes_report:
        from s1_hf.plots.style import forget_own_settings
        from s1_hf.reporting import load_about, write_report
        from s1_hf.results.rows import load_rows

        forget_own_settings()
        about = load_about(plan.folder)
        write_report(load_rows(plan.folder), plan.folder, about=about, progress=progress)
    card = new_card(plan.folder, plan.kind)  # with the figures that there are now
    if card is not None:
        write_text(inside(plan.folder, CARD), card)
    return list(files_of(plan.folder, plan.kind).go)


def _full_name(api: HfApi, repo: str) -> str:
    """Who asks is known by the token, which so is tried before anything is written."""
    user = str(api.whoami()["name"])
    return repo if "/" in repo else f"{user}/{repo}"


def _check_repo(api: HfApi, repo: str, repo_type: str, private: bool, create_pr: bool) -> bool:
    """Whether the repository exists; raises a `ValueError` if it is not one to push this to."""
    errors = require("huggingface_hub.errors", "eval")
    try:
        info: Any = api.repo_info(repo, repo_type=repo_type)
    except errors.RepositoryNotFoundError:
        others = [kind for kind in _TYPES if kind != repo_type and api.repo_exists(repo, repo_type=kind)]
        if others:
            raise ValueError(
                f"{repo} is the repository of {_TYPES[others[0]]}, and this would be that of {_TYPES[repo_type]}. "
                "Choose another name."
            ) from None
        if create_pr:
            raise ValueError(
                f"There is no {repo_type} {repo} to open a pull request in, or this token may not see it."
            ) from None
        return False
    if private and not info.private:
        raise ValueError(f"{repo} is public already, and stays so: leave out `--private`, or choose another name.")
    return True


def _has_other_card(api: HfApi, where: dict[str, Any], revision: str | None) -> bool:
    """Whether the repository has a card that somebody wrote."""
    if not api.file_exists(**where, filename=CARD, revision=revision):
        return False
    with TemporaryDirectory() as folder:
        file = api.hf_hub_download(**where, filename=CARD, revision=revision, local_dir=folder)
        return not is_ours(Path(file).read_text(encoding="utf-8", errors="replace"))
