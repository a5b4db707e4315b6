"""Keys and passwords are shown and written nowhere: not in an error, a result, a report or a card."""

from __future__ import annotations

import html
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
"""What stands in the place of a secret."""

# Characters. What is shorter is no secret, and stands in too many words.
_SHORTEST, _SHORTEST_OF_ENVIRONMENT = 4, 8
# In what a model writes, "EMPTY" and "test", which servers without keys are given, mean something else.
_SHORTEST_IN_MODELS_TEXT, _SHORTEST_OF_ENVIRONMENT_THERE = 8, 16

_NAME = r"(?:(?:api|access|auth|secret|private)[-_]?key|token|secret|\w{0,20}passw(?:or)?d)"
_IS_SECRET = re.compile(rf"(?:.*[-_.])?{_NAME}|(?-i:[A-Z0-9_]+_KEY)", re.IGNORECASE)
_NO_SECRET = re.compile(r".*(?:pad|padding|eos|bos|unk|mask|sep|cls)[-_]token", re.IGNORECASE)  # of a tokenizer

# Also a password with a slash, which had to be quoted, and an address that was taken for a path and lost a slash; but a
# port and a path with an @ are no login.
# All lengths are bounded, so that the time is linear in any text.
_USER, _PASSWORD = r"[^/?#\s'\"<>]{0,500}", r"[^/?#@:\s'\"<>]{0,200}:(?!\d+/)[^@\s'\"<>]{0,500}"
_LOGIN = re.compile(rf"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,30}}:/{{1,2}})(?:{_USER}|{_PASSWORD})@", re.IGNORECASE)
_PARAMETER = re.compile(
    rf"([?&;](?:[\w.-]{{0,50}}[-_.])?(?:{_NAME}|key|pwd|sig|signature)=)[^&#\s'\"<>]+", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Whether what goes by this name is a secret: of a variable, a field, an option.

    Example:

    ```python
    >>> from s1_hf.secrets import is_secret
    >>> is_secret("HF_TOKEN"), is_secret("--api-key"), is_secret("max_thinking_tokens"), is_secret("padding_token")
    (True, True, False, False)

    ```
    """
    name = name.lstrip("-")
    return bool(_IS_SECRET.fullmatch(name)) and not _NO_SECRET.fullmatch(name)


def without_secrets(text: str, secrets: Iterable[str | None] = ()) -> str:
    """The text without logins and keys in addresses, without the secrets in the environment, and without these.

    Secrets are found as they are, quoted for an address, and in base64, as a server may repeat them.

    Args:
        secrets (`Iterable[str]`): those of 4 and more characters count, of the environment those of 8 and more.

    Example:

    ```python
    >>> from s1_hf.secrets import without_secrets
    >>> without_secrets("at http://me:my-password@localhost/v1?api_key=abc but not my-key", ["my-key"])
    'at http://***@localhost/v1?api_key=*** but not ***'

    ```
    """
    known = _long_enough(secrets, _SHORTEST) + _long_enough(_of_environment(), _SHORTEST_OF_ENVIRONMENT)
    text = _without(text, known)
    return _PARAMETER.sub(rf"\1{HIDDEN}", _LOGIN.sub(rf"\1{HIDDEN}@", text))


def without_own_secrets(text: str, secrets: Iterable[str | None]) -> str:
    """What a model has written, without these secrets and the environment's, if they are so long that nothing else can
    be meant; all else stays.

    Example:

    ```python
    >>> from s1_hf.secrets import without_own_secrets
    >>> without_own_secrets("EMPTY, says http://a:b@c to sk-0123456789abcd", ["EMPTY", "sk-0123456789abcd"])
    'EMPTY, says http://a:b@c to ***'

    ```
    """
    known = _long_enough(secrets, _SHORTEST_IN_MODELS_TEXT)
    return _without(text, known + _long_enough(_of_environment(), _SHORTEST_OF_ENVIRONMENT_THERE))


def _of_environment() -> list[str]:
    return [value for name, value in os.environ.items() if is_secret(name)]


def _long_enough(secrets: Iterable[str | None], shortest: int) -> list[str]:
    return [secret for secret in secrets if secret and len(secret) >= shortest]


def _without(text: str, secrets: Iterable[str]) -> str:
    spelled: set[str] = set()
    for secret in secrets:
        spelled |= set(_spellings(secret))
    for one in sorted(spelled, key=len, reverse=True):
        text = text.replace(one, HIDDEN)
    return text


def without_secret_values(value: Any) -> Any:
    """The same for JSON types, where a value that has the name of a secret goes as a whole."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        cleaned = {}
        for name, one in value.items():
            hides = isinstance(one, str) and bool(one) and is_secret(str(name))
            cleaned[name] = HIDDEN if hides else without_secret_values(one)
        return cleaned
    return [without_secret_values(one) for one in value] if isinstance(value, (list, tuple)) else value


def without_secret_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line, of which `--api-key VALUE` and `--api-key=VALUE` keep only the name.

    Example:

    ```python
    >>> from s1_hf.secrets import without_secret_arguments
    >>> without_secret_arguments(["sft", "--hub_token", "hf_1234", "--seed", "0"])
    ['sft', '--hub_token', '***', '--seed', '0']

    ```
    """
    shown: list[str] = []
    before = ""
    for argument in arguments:
        name, sign, _ = argument.partition("=")
        if before.startswith("--") and is_secret(before):
            shown.append(HIDDEN)
        elif name.startswith("--") and sign and is_secret(name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(without_secrets(argument))
        before = argument
    return shown


def login_of(address: str) -> tuple[str, str] | None:
    """User and password in an address, if it has any."""
    found = _LOGIN.match(address)
    if found is None:
        return None
    user, password = _user_and_password(found)
    return unquote(user), unquote(password)


def secrets_in(address: str) -> list[str]:
    """The password in an address, as it stands there and as it is sent; without one, the user, who then is the key."""
    found = _LOGIN.match(address)
    if found is None:
        return []
    user, password = _user_and_password(found)
    return [password or user, unquote(password or user)]


def _user_and_password(login: re.Match[str]) -> tuple[str, str]:
    user, _, password = login[0].removeprefix(login[1])[:-1].partition(":")
    return user, password


def without_login(address: str) -> str:
    """The address as it is asked for when user and password are sent by themselves."""
    return _LOGIN.sub(r"\1", address, count=1)


def shown_address(address: str) -> str:
    """An address as an error may quote it, also one that has lost its `http://`."""
    shown = without_secrets(address)
    return shown if "://" in shown else re.sub(".*@", f"{HIDDEN}@", shown, flags=re.DOTALL)


def _spellings(secret: str) -> Iterator[str]:
    """As it is, as an address, JSON, HTML or Python has it, and in base64, wherever in a longer text it stood."""
    yield secret
    yield from (quote(secret, safe=""), quote_plus(secret), quote(secret))
    yield from (json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1])
    for before in range(3):  # bytes, which decide where the 6 bits of a character begin
        data = bytes(before) + secret.encode("utf-8", "surrogatepass")
        standard = b64encode(data)[-(-before * 8 // 6) : len(data) * 8 // 6].decode()
        yield from (standard, standard.translate(_URL_SAFE))


_URL_SAFE = str.maketrans("+/", "-_")
