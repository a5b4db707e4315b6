"""How each stock server is started."""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from s1_hf._lazy import require
from s1_hf.finding import model_named
from s1_hf.serving.folder import export_folder, is_embedded
from s1_hf.serving.place import temporary_place
from s1_hf.serving.terms import SECTION, Terms
from s1_hf.vllm.options import EXTENSION, PROCESSOR, engine_options
from s1_hf.vllm.setup import TEXTS

MIDDLEWARE = "s1_hf.serving.vllm_app.VllmMiddleware"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Raises a `ValueError` if a server cannot listen there, which the stock servers find out once they have loaded.

    A host that is not known here is left to them.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        one = socket.socket(family, kind)
    except OSError:
        return
    with one:
        if os.name == "posix":  # as servers do; Windows would let two listen
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(address)
        except OSError as error:
            said = f"A server cannot listen at {host}:{port}: {error.strerror}. Choose another `--port`, or `--host`."
            raise ValueError(said) from None


# -- vLLM -----------------------------------------------------------------------------------------------------------

_OURS = ("--logits-processors", "--worker-extension-cls", "--additional-config", "--middleware")


def vllm_arguments(
    model: str, terms: Terms, format: str | dict[str, Any] | None, host: str, port: int, others: Sequence[str] = ()
) -> list[str]:
    """The arguments of `vllm serve` for a server whose requests have budgets.

    Args:
        others (`Sequence[str]`): further ones, which are vLLM's to judge.

    Raises:
        ValueError: one of these is set here, or a text of the budget is wrong.
    """
    for one in others:
        name = one.split("=")[0].replace("_", "-")
        if name in _OURS or name.startswith("--additional-config"):
            raise ValueError(
                f"`{name}` is set by `s1-hf serve`. To set it yourself, write the line of `vllm serve`, which "
                "`--show-command` shows."
            )
    texts = {name: value for name, value in terms.defaults.items() if name in TEXTS}
    options = engine_options(format=format, **texts)
    of_requests = {name: value for name, value in terms.defaults.items() if name not in TEXTS}
    config = {**options.get("additional_config", {}), SECTION: Terms(of_requests, terms.effort).to_dict()}
    arguments = ["serve", model_named(model)]
    if is_embedded(model) and not any(one.startswith("--served-model-name") for one in others):
        arguments += ["--served-model-name", model]
    arguments += ["--host", host, "--port", str(port)]
    arguments += ["--logits-processors", PROCESSOR, "--worker-extension-cls", EXTENSION, "--middleware", MIDDLEWARE]
    return [*arguments, "--additional-config", json.dumps(config), *others]


def vllm_command(arguments: Sequence[str]) -> list[str]:
    """How `vllm` is run with these arguments by this Python.

    The package for CPUs has no distribution of the name that the command asks for; there it is its server's module.
    """
    try:
        version("vllm")
    except PackageNotFoundError:
        _, model, *rest = arguments
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *rest]
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", *arguments]


def become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command in the place of this process, with these variables besides its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), {**os.environ, **environment})


def shown(program: str, arguments: Sequence[str]) -> str:
    """A command line, as a shell takes it."""
    return shlex.join([program, *arguments])


# -- transformers ---------------------------------------------------------------------------------------------------

_NO_BATCHING = "Continuous batching builds its processors from configurations only, which knows no budgets."
_NOT_SERVED = {
    "--continuous-batching": _NO_BATCHING,
    "--cb-": _NO_BATCHING,
    "--no-trust-remote-code": "The file that brings the budget is code, of s1-hf; no other is in the folder.",
    "--non-blocking": "It is for the tests of transformers.",
}


def transformers_arguments(name: str, host: str, port: int, others: Sequence[str] = ()) -> list[str]:
    """The arguments of `transformers serve` for an exported folder.

    Raises:
        ValueError: an option cannot be combined with budgets.
    """
    for one in others:
        for option, why in _NOT_SERVED.items():
            if one.split("=")[0].startswith(option):
                raise ValueError(f"`{option}` cannot be used here. {why}")
    return ["serve", name, "--trust-remote-code", "--host", host, "--port", str(port), *others]


def served_name(model: str, folder: Path) -> str:
    """What clients call a model: its name on the Hub, or the name of its folder."""
    if is_embedded(model) or not Path(model).exists():
        return model
    return folder.resolve().name.replace("@", "-")  # the server takes what follows an @ for a revision


@contextmanager
def exported(
    model_dir: Path, name: str, settings: Mapping[str, Any], trust_remote_code: bool = False
) -> Iterator[Path]:
    """While this lasts, the working folder holds the exported model under its name, which is all that a server says of
    where it lies."""
    before = Path.cwd()
    with temporary_place() as place:
        folder = export_folder(model_dir.resolve(), place / name, settings, trust_remote_code)
        os.chdir(place)
        try:
            yield folder
        finally:
            os.chdir(before)


def check_transformers() -> None:
    """Raises a `ModuleNotFoundError` for what `transformers serve` needs and is not there."""
    for module in ("fastapi", "uvicorn", "openai", "pydantic", "accelerate", "transformers.cli.serving.server"):
        require(module, "serve")


def run_transformers(arguments: Sequence[str], served: Any) -> None:
    """Run `transformers serve` with the middleware around its application, until it is stopped.

    Args:
        served ([`Served`]): for the middleware.

    Raises:
        ValueError: it does not take an argument. KeyboardInterrupt: it was stopped by Ctrl-C.
    """
    import click
    from starlette.middleware import cors
    from transformers.cli import transformers as command
    from transformers.cli.serving import server

    from s1_hf.serving.transformers_app import TransformersMiddleware

    build = server.build_server

    def with_middleware(*args: Any, **kwargs: Any) -> Any:
        app = build(*args, **kwargs)
        app.add_middleware(TransformersMiddleware, served=served)
        # `--enable-cors` comes first: browsers ask, without a key, whether they may send one
        app.user_middleware.sort(key=lambda one: getattr(one.cls, "__module__", None) != cors.__name__)
        return app

    server.build_server = with_middleware
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the server passes it on, once it has ended
    try:
        command.app(list(arguments), standalone_mode=False)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        said = error.format_message().splitlines()[0]
        raise ValueError(f"transformers says: {said} See `transformers serve --help`.") from None
    finally:
        server.build_server = build
        signal.signal(signal.SIGTERM, before)
