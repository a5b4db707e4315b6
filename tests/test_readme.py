"""Every Python block of README and of the pages in docs/ runs, page by page, in order, as one program.

Hub names give the toy. A block that cannot run here says why in a comment above it, and is compiled.
"""

import json
import re
import shutil
import warnings

import pytest
import transformers

from page_blocks import PAGES, ROOT, blocks_of
from s1_hf import embedded

WITH_BLOCKS = [page for page in PAGES if any(blocks_of(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def toy_for_hub_names(monkeypatch):
    """`from_pretrained("Qwen/Qwen3-8B", ...)` gives the toy."""
    for auto in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
        real = auto.from_pretrained
        monkeypatch.setattr(auto, "from_pretrained", lambda name, real=real, **_: real(embedded.MODEL_PATH))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder with the results of a small sweep."""
    pytest.importorskip("typer")
    pytest.importorskip("math_verify")
    from typer.testing import CliRunner

    from s1_hf.cli import app

    folder = tmp_path_factory.mktemp("sweep") / "results"
    line = "sweep embedded --tasks s1:embedded --max-samples 3 --max-thinking-tokens 16,none --num-ignores 0,1"
    done = CliRunner().invoke(app, [*line.split(), "--batch-size", "3", "--output-dir", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_python_blocks_run_and_print_what_they_say(page, tmp_path, monkeypatch, capsys, toy_for_hub_names, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")  # TRL warns of what it calls experimental
    blocks, text = list(blocks_of(page)), page.read_text(encoding="utf-8")
    if any(block.said == "results of a sweep" and block.runs for block in blocks):
        shutil.copytree(request.getfixturevalue("swept"), "results")
    if "effort.yaml" in text:
        (tmp_path / "effort.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    names: dict = {}
    for number, block in enumerate(blocks, 1):
        code = compile(block.code, f"{page.name}, block {number}", "exec")
        if block.runs:
            exec(code, names)
    said = capsys.readouterr().out
    for report in re.findall(r"# (Report\(.*\))", text):
        assert report in said
    if page.name == "generate.md":
        assert names["processor"].reports()[0].ends_ignored == 2
        assert names["first"].report.ended == "cut" and len(names["reports"]) == 4


def test_most_blocks_are_run_and_the_others_say_why():
    blocks = [block for page in WITH_BLOCKS for block in blocks_of(page)]
    left_out = [block for block in blocks if block.mark == "compiled only"]
    assert len(blocks) > 30 and len(left_out) < len(blocks) / 5 and all(block.said for block in left_out)
    assert {block.mark for block in blocks} <= {"", "compiled only", "needs"}


def test_the_bare_processor_is_exact_on_a_model_that_samples_by_itself(tmp_path, monkeypatch):
    """Qwen3 and s1.1 ship `do_sample: true`: the report comes, the budgets hold, and nothing is warned about."""
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    own = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    (folder / "generation_config.json").write_text(json.dumps(own))
    monkeypatch.setattr(embedded, "MODEL_PATH", folder)
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks_of(ROOT / "docs" / "generate.md"):
            if any(text in block.code for text in ("AutoTokenizer", "inputs = ", "BudgetForcingLogitsProcessor(")):
                exec(block.code, names)
    assert names["processor"].rule == "sample"
    (report,) = names["processor"].reports(names["outputs"])
    assert report.ends_ignored == 2 and 0 < report.thinking_tokens <= 200 and report.answer_tokens > 0
