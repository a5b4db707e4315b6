"""Bad input to `s1-hf eval` is answered before anything is loaded."""

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")

from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-thinking-tokens", "-5"], "`--max-thinking-tokens` (which is '-5'): "),
        (["--batch-size", "0"], "`--batch-size` (which is 0): Input should be greater than 0"),
        (["--max-samples", "0"], "`--max-samples` has to be at least 1, but is 0"),
        (["--push-to-hub"], "need `--results-org`"),
        (["--dtype", "banana"], "'banana' is not one of 'auto'"),
        (["--top-p", "0.9", "--min-p", "0.1"], "`--top-p` and `--min-p` need `--temperature` above 0"),
    ],
)
def test_bad_options_are_named(arguments, message, tmp_path):
    done = CliRunner().invoke(
        app, ["eval", str(embedded.MODEL_PATH), "--tasks", "s1:embedded", "--output-dir", str(tmp_path), *arguments]
    )
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    done = CliRunner().invoke(
        app, ["eval", "/no/such/model", "--tasks", "s1:embedded", "--output-dir", str(tmp_path / "out")]
    )
    assert done.exit_code == 2
    assert "/no/such/model is no model: there is no such folder" in " ".join(done.output.split())
