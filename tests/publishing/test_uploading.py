"""A push to a stand-in for the Hub: what comes there, once, under every fault, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub_stand_in import TOKEN, Repo
from s1_hf.engines.locking import exclusive
from s1_hf.publishing import plan_of, push
from s1_hf.publishing.cards import is_ours

# huggingface_hub hands httpx a file in a way that httpx is about to drop
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

RESULTS = {
    ".eval_results/s1_math500.yaml", "README.md", "about.json", "report.html", "results.json", "rows.parquet",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """A report takes seconds, and is tested elsewhere."""
    monkeypatch.setattr("s1_hf.publishing.uploading.find_spec", lambda name: None)


def with_report(results: Path) -> Path:
    (results / "report.html").write_text("<p>")
    return results


def test_results_are_a_data_set_with_a_card_and_a_report_and_nothing_of_the_run(hub, results):
    done = push(plan_of(with_report(results), "me/r"))
    repo = hub.repos["dataset", "me/r"]
    assert repo.files.keys() == RESULTS and len(repo.commits) == 1 and not repo.private
    assert repo.files["rows.parquet"] == (results / "rows.parquet").read_bytes()
    assert is_ours(repo.files["README.md"].decode())
    assert done.url == f"{hub.url}/datasets/me/r" and done.pull_request is None


def test_a_missing_report_is_written(hub, results, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("s1_hf.publishing.uploading.find_spec", lambda name: True)
    plan = plan_of(results, "me/r")
    assert plan.writes_report and not (results / "report.html").exists()
    push(plan)
    files = hub.repos["dataset", "me/r"].files
    card = files["README.md"].decode()
    assert "report.html" in files and any(name.endswith(".png") and name in card for name in files)


def test_a_trained_model_is_pushed_without_its_checkpoints(hub, trained):
    push(plan_of(trained, "m"), private=True)
    repo = hub.repos["model", "me/m"]
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "trainer_state.json",
    } <= repo.files.keys()
    assert not [name for name in repo.files if "checkpoint" in name or "s1_run" in name]
    assert repo.private and repo.files["README.md"] == (trained / "README.md").read_bytes()


def test_the_same_push_again_makes_no_commit(hub, results):
    for _ in range(2):
        push(plan_of(with_report(results), "me/r"))
    assert len(hub.repos["dataset", "me/r"].commits) == 1


def test_a_branch_and_a_pull_request(hub, results):
    with_report(results)
    with pytest.raises(ValueError, match="There is no dataset me/r to open a pull request in"):
        push(plan_of(results, "me/r"), create_pr=True)
    with pytest.raises(ValueError, match="leave out `--revision` or `--create-pr`"):
        push(plan_of(results, "me/r"), create_pr=True, revision="x")
    hub.repos["dataset", "me/r"] = Repo()
    assert push(plan_of(results, "me/r"), create_pr=True).pull_request == f"{hub.url}/me/r/discussions/1"
    push(plan_of(results, "me/r"), revision="v2")
    repo = hub.repos["dataset", "me/r"]
    assert not repo.files and repo.proposals[0].keys() == RESULTS == repo.branches["v2"].keys()


def test_entries_go_to_the_models_repository_as_a_pull_request(hub, results):
    hub.repos["model", "me/m"] = Repo()
    done = push(plan_of(with_report(results), "me/r", eval_results_to="me/m"))
    (proposal,) = hub.repos["model", "me/m"].proposals
    assert proposal.keys() == {".eval_results/s1_math500.yaml"} and done.proposed.endswith("/me/m/discussions/1")


def test_a_card_that_somebody_wrote_stays_here_and_there(hub, results):
    (results / "README.md").write_text("mine")
    push(plan_of(with_report(results), "me/r"))
    assert hub.repos["dataset", "me/r"].files["README.md"] == b"mine" == (results / "README.md").read_bytes()
    (results / "README.md").unlink()
    assert push(plan_of(results, "me/r")).kept_card
    assert hub.repos["dataset", "me/r"].files["README.md"] == b"mine"


def test_a_repository_of_another_type_is_refused(hub, results):
    hub.repos["model", "me/r"] = Repo()
    with pytest.raises(ValueError, match="me/r is the repository of a model, and this would be that of a data set"):
        push(plan_of(results, "me/r"))
    assert hub.repos.keys() == {("model", "me/r")}


def test_a_public_repository_is_not_taken_for_a_private_one(hub, results):
    hub.repos["dataset", "me/r"] = Repo(private=False)
    with pytest.raises(ValueError, match="me/r is public already, and stays so"):
        push(plan_of(results, "me/r"), private=True)
    assert not hub.repos["dataset", "me/r"].files


@pytest.mark.parametrize(
    ("part", "status", "said"),
    [
        ("whoami", 401, "The Hub does not know this token"),
        ("commit", 403, "This token may not write to me/r: it needs the role `write`"),
        ("preupload", 404, "There is no dataset me/r, or this token may not see it"),
        ("commit", 409, "Somebody else is changing me/r just now. Rerun the same command"),
        ("create", 402, "The Hub asks for payment"),
        ("PUT /lfs", 403, "This token may not write to me/r"),
        ("commit", 413, "too large for the Hub"),
        ("commit", 500, "The Hub has a fault of its own. Rerun the same command"),
        ("commit", 418, "The Hub refused it"),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do_and_a_rerun_ends_well(part, status, said, hub, results):
    hub.faults[part] = [status] * 10
    with pytest.raises(ValueError, match=f"{said}.*The Hub said: {status}, ") as caught:
        push(plan_of(with_report(results), "me/r"))
    assert TOKEN not in str(caught.value) and "\n" not in str(caught.value)
    hub.faults.clear()
    push(plan_of(results, "me/r"))
    assert hub.repos["dataset", "me/r"].files.keys() == RESULTS


@pytest.mark.parametrize("part", ["preupload", "objects/batch", "PUT /lfs"])
@pytest.mark.parametrize("fault", [500, "cut"])
def test_a_passing_fault_is_waited_for(part, fault, hub, results):
    hub.faults[part] = [fault]
    push(plan_of(with_report(results), "me/r"))
    assert hub.repos["dataset", "me/r"].files.keys() == RESULTS


@pytest.mark.parametrize("part", ["whoami", "commit", "PUT /lfs"])
def test_a_connection_that_stays_cut_is_said(part, hub, results):
    hub.faults[part] = ["cut"] * 20
    with pytest.raises(ValueError, match="The connection to the Hub broke, .* Rerun the same command"):
        push(plan_of(with_report(results), "me/r"))


def test_without_a_token_or_offline_nobody_is_asked(hub, results, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ValueError, match=r"There is no token of the Hub: log in \(`hf auth login`\), or set HF_TOKEN"):
        push(plan_of(results, "me/r"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set"):
        push(plan_of(results, "me/r"))
    assert not hub.asked and not (results / "README.md").exists()


def test_a_folder_that_a_run_writes_into_is_refused(hub, results, hold):
    holder = hold(results)
    with pytest.raises(BlockingIOError, match=f"process {holder.pid}"):
        push(plan_of(results, "me/r"))
    assert not hub.repos


def test_a_push_that_is_killed_sends_what_is_missing_when_it_is_run_again(hub, trained):
    hub.faults["commit"] = ["wait"]
    code = "import sys; from s1_hf.publishing import plan_of, push; push(plan_of(sys.argv[1], 'me/m'))"
    environment = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(trained)], env=os.environ | environment)
    while not any("commit" in asked for asked in hub.asked):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not hub.repos["model", "me/m"].files and len(hub.large) == 1
    hub.asked.clear()
    push(plan_of(trained, "me/m"))
    assert "model.safetensors" in hub.repos["model", "me/m"].files
    assert not [asked for asked in hub.asked if asked.startswith("PUT")]


def test_the_folder_is_locked_only_meanwhile(hub, results):
    push(plan_of(results, "me/r"))
    with exclusive(results):
        pass
