"""What the Hub and the network refuse, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from s1_hf._lazy import require
from s1_hf.secrets import without_secrets
from s1_hf.visible import shortened

_RERUN = "Rerun the same command: what the Hub has is not sent again."


@contextmanager
def in_words(repo: str, repo_type: str) -> Iterator[None]:
    """Errors of huggingface_hub about this repository become a `ValueError`."""
    import httpx

    errors = require("huggingface_hub.errors", "eval")
    try:
        yield
    except (errors.HfHubHTTPError, httpx.HTTPError, ConnectionError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else error  # of the upload of one file
        if isinstance(cause, errors.HfHubHTTPError):
            said = f"{cause.response.status_code}, {_quoted(cause.server_message or str(cause))}"
            raise ValueError(f"{_remedy(cause, repo, repo_type)} The Hub said: {said}") from None
        if not isinstance(cause, (httpx.HTTPError, ConnectionError)):
            raise
        said = _quoted(str(cause) or type(cause).__name__)
        raise ValueError(f"The connection to the Hub broke, or there is none: {said} {_RERUN}") from None


def _remedy(error: Any, repo: str, kind: str) -> str:
    status = error.response.status_code
    errors = require("huggingface_hub.errors", "eval")
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: ask for access on its page first."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no such revision."
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return f"There is no {kind} {repo}, or this token may not see it. Check the name, and the token's rights."
    remedies = {
        401: "The Hub does not know this token: make another (https://huggingface.co/settings/tokens).",
        402: "The Hub asks for payment: the account's storage is used up. Make room, or ask for more.",
        403: f"This token may not write to {repo}: it needs the role `write`, for this owner.",
        409: f"Somebody else is changing {repo} just now. {_RERUN}",
        412: f"Somebody else has changed {repo} meanwhile. {_RERUN}",
        413: "It is too large for the Hub: see https://huggingface.co/docs/hub/storage-limits.",
        429: "The Hub asks to come back later: too many requests.",
    }
    if status in remedies:
        return remedies[status]
    return f"The Hub has a fault of its own. {_RERUN}" if status >= 500 else "The Hub refused it."


def _quoted(said: str) -> str:
    return shortened(without_secrets(said), 300).rstrip(".") + "."
