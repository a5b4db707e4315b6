"""Real servers of the embedded model, in processes of their own, and OpenAI's client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s1_hf import embedded

SOURCE = Path(embedded.__file__).parents[2]
QUESTION = embedded.Problem(2, 7, 3, 8).question
CHAT = [{"role": "user", "content": QUESTION}]
KEY = "a-key-of-the-tests"
MODEL = "embedded"


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(arguments: Sequence[str], place: Path, timeout_s: float = 300, **environment: str) -> Iterator[str]:
    """The address of a server that `python -m ARGUMENTS --port ...` starts in the folder `place`; ended with the block.

    What it says is in `place / "log"`.
    """
    port = free_port()
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(SOURCE), **environment}
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_healthy(process, port, place / "log", timeout_s)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path, timeout_s: float) -> None:
    """Until it answers, or is gone."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"No server came up:\n{log.read_text(errors='replace')[-4000:]}")


def client_of(url: str, key: str = KEY) -> Any:
    """OpenAI's client, which asks once."""
    import openai

    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120)


def streamed(chunks: Any) -> tuple[str, Any, Any]:
    """The text of a stream, its last choice, and its usage."""
    text, last, usage = "", None, None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            last = choice if choice.finish_reason else last
    return text, last, usage


def counted(report: dict[str, Any]) -> dict[str, Any]:
    """The counts of a report, of ours or in an answer."""
    return {name: report[name] for name in ("thinking_tokens", "ended", "ends_ignored", "answer_tokens")}
