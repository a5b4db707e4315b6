"""The folder of a Space: it can be pushed as it is, and starts."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
import urllib.request

import pytest
from servers import SOURCE, free_port

from s1_hf.playground.space import write_space

pytest.importorskip("gradio")
yaml = pytest.importorskip("yaml")
MOST = {"new_tokens": 100, "characters": 200, "budgets": 4, "problems": 8}


def test_the_folder_says_which_model_and_how_and_has_the_spaces_metadata(tmp_path):
    write_space(tmp_path, "some/o'model", most=MOST, revision="v2", format=None, dtype="auto", trust_remote_code=True)
    app = (tmp_path / "app.py").read_text()
    call = next(n for n in ast.walk(ast.parse(app)) if isinstance(n, ast.Call) and ast.unparse(n.func) == "play")
    said = {one.arg: ast.unparse(one.value) for one in call.keywords}
    limits = "Most(new_tokens=100, characters=200, budgets=4, problems=8)"
    assert ast.literal_eval(call.args[0]) == "some/o'model"
    assert said == {"most": limits, "revision": "'v2'", "trust_remote_code": "True"}
    _, metadata, text = (tmp_path / "README.md").read_text().split("---\n")
    found = yaml.safe_load(metadata)
    assert found["sdk"] == "gradio" and found["app_file"] == "app.py" and "some/o'model" in found["title"]
    assert (tmp_path / "requirements.txt").read_text().startswith("s1-hf[playground]==") and "some/o'model" in text
    write_space(tmp_path, "another", most=MOST)  # its own it writes anew
    (tmp_path / "app.py").write_text("mine = 1")
    with pytest.raises(ValueError, match="somebody else's"):
        write_space(tmp_path, "another", most=MOST)


def test_it_starts_where_gradios_variables_say(tmp_path):
    write_space(tmp_path, "embedded", most=MOST)
    port = free_port()
    variables = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "HF_HUB_OFFLINE": "1"}
    variables |= {"PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "app.py"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=os.environ | variables, stdout=log, stderr=log)
    try:
        page, end = b"", time.monotonic() + 240
        while not page and process.poll() is None and time.monotonic() < end:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).read()
            except OSError:
                time.sleep(0.2)
        assert b"s1-hf playground: embedded" in page, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
