"""From which checkpoint a run resumes, and what becomes of those that are not whole or not its own."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("trl")

import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from training_runs import make_checkpoint

from s1_hf.sft.checkpoints import check_kind, find_checkpoints

RUN = "a1b2"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def lose(*names: str):
    def break_it(checkpoint: Path) -> None:
        for name in names:
            (checkpoint / name).unlink()

    return break_it


def lose_a_shard(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def write_in_parts(checkpoint: Path) -> Path:
    """As FSDP does."""
    lose("model.safetensors", "optimizer.pt")(checkpoint)
    for name in ("pytorch_model_fsdp_0", "optimizer_0"):
        dcp.save({"a": torch.arange(500.0)}, storage_writer=dcp.FileSystemWriter(checkpoint / name), no_dist=True)
    return checkpoint


def cut_a_part(checkpoint: Path) -> None:
    cut(next((write_in_parts(checkpoint) / "optimizer_0").glob("*.distcp")))


def lose_the_metadata(checkpoint: Path) -> None:
    (write_in_parts(checkpoint) / "pytorch_model_fsdp_0" / ".metadata").unlink()


def break_the_metadata(checkpoint: Path) -> None:
    cut(write_in_parts(checkpoint) / "pytorch_model_fsdp_0" / ".metadata")


def lose_what_deepspeed_wrote(checkpoint: Path) -> None:
    lose("optimizer.pt", "scheduler.pt")(checkpoint)
    (checkpoint / "latest").write_text("global_step4")


DAMAGES = {
    "model.safetensors is cut off": lambda checkpoint: cut(checkpoint / "model.safetensors"),
    "optimizer.pt is cut off": lambda checkpoint: cut(checkpoint / "optimizer.pt"),
    "scheduler.pt is cut off": lambda checkpoint: (checkpoint / "scheduler.pt").write_bytes(b""),
    "rng_state.pth is cut off": lambda checkpoint: cut(checkpoint / "rng_state.pth"),
    "model.safetensors is missing": lose("model.safetensors"),
    "optimizer.pt is missing": lose("optimizer.pt"),
    "scheduler.pt is missing": lose("scheduler.pt"),
    "rng_state.pth is missing": lose("rng_state.pth"),
    "model-00002-of-00002.safetensors is missing": lose_a_shard,
    "optimizer_0/__0_0.distcp is cut off": cut_a_part,
    "pytorch_model_fsdp_0/.metadata is missing": lose_the_metadata,
    "pytorch_model_fsdp_0/.metadata cannot be read": break_the_metadata,
    "DeepSpeed's global_step4 is missing": lose_what_deepspeed_wrote,
}


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(tmp_path, fault):
    before, damaged = make_checkpoint(tmp_path, 2, RUN), make_checkpoint(tmp_path, 4, RUN)
    DAMAGES[fault](damaged)
    found = find_checkpoints(tmp_path, RUN)
    assert found.newest == before and found.broken == {damaged: fault}


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_whole_ones_of_every_kind_are_taken(tmp_path):
    write_in_parts(make_checkpoint(tmp_path, 2, RUN))
    assert find_checkpoints(tmp_path, RUN).newest == tmp_path / "checkpoint-2"
    deepspeed = make_checkpoint(tmp_path, 4, RUN)
    lose_what_deepspeed_wrote(deepspeed)
    (deepspeed / "global_step4").mkdir()
    torch.save({}, deepspeed / "global_step4" / "mp_rank_00_model_states.pt")
    assert find_checkpoints(tmp_path, RUN).newest == deepspeed
    adapter = make_checkpoint(tmp_path, 10, RUN)
    lose("model.safetensors")(adapter)
    save_file({}, adapter / "adapter_model.safetensors")
    found = find_checkpoints(tmp_path, RUN)
    assert found.newest == adapter and found.broken == {}


def test_only_a_damaged_one_is_a_reason_not_to_start(tmp_path):
    lose("optimizer.pt")(make_checkpoint(tmp_path, 4, RUN))
    with pytest.raises(ValueError, match=r"no checkpoint from which.*: checkpoint-4: optimizer.pt is missing. Restore"):
        find_checkpoints(tmp_path, RUN)


@pytest.mark.parametrize("state", [None, "", '{"global_step": 4', "[]"])
def test_one_that_was_being_written_is_none_and_does_not_keep_the_run_from_starting(tmp_path, state):
    torn = make_checkpoint(tmp_path, 4, RUN)
    (torn / "trainer_state.json").unlink()
    if state is not None:
        (torn / "trainer_state.json").write_text(state)
    found = find_checkpoints(tmp_path, RUN)
    assert found.newest is None and found.broken == {torn: "it was being written when the run was stopped"}


def test_what_is_not_whole_is_set_aside_and_never_replaced(tmp_path, caplog):
    for _ in range(2):
        torn = make_checkpoint(tmp_path, 4, RUN)
        (torn / "trainer_state.json").unlink()
        find_checkpoints(tmp_path, RUN).set_aside()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "_incomplete-checkpoint-4",
        "_incomplete-checkpoint-4-2",
    ]
    assert "checkpoint-4 is not whole: it was being written when the run was stopped. It is kept as _inc" in caplog.text
    assert find_checkpoints(tmp_path, RUN).broken == {}


def of_another_step(folder: Path) -> None:
    shutil.move(make_checkpoint(folder, 4, RUN), folder / "checkpoint-5")


FOREIGN = {
    "checkpoint-4 is of another run": lambda folder: make_checkpoint(folder, 4, "c3d4"),
    "checkpoint-5 is of step 4": of_another_step,
    "checkpoint-best has no number of steps in its name": lambda folder: (folder / "checkpoint-best").mkdir(),
    "checkpoint-5 is no folder": lambda folder: (folder / "checkpoint-5").write_text("mine"),
}


@pytest.mark.parametrize("fault", FOREIGN)
def test_a_checkpoint_of_somebody_else_is_refused(tmp_path, fault):
    """The trainer would resume from it, or delete it with its own old ones."""
    make_checkpoint(tmp_path, 2, RUN)
    FOREIGN[fault](tmp_path)
    with pytest.raises(ValueError, match=f"not of this run, and the trainer would delete them: {fault}. Move"):
        find_checkpoints(tmp_path, RUN)


HOSTILE = [
    b"", b"\xff\x00", b"[" * 99_999, b"{}", b"null", b'{"global_step": "\\u001b[31m"}', b"/etc", b"..", b"9" * 9,
    b"\x02" + b"\0" * 7 + b"[]", b"\x09" + b"\0" * 7 + b'{"a": {}}', b'{"weight_map": {"a": "\\u0000"}}',
    b'{"global_step": 4, "stateful_callbacks": 3}',
]  # fmt: skip


@pytest.mark.parametrize("name", ["trainer_state.json", "model.safetensors", "latest", "model.safetensors.index.json"])
@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_files_give_a_fault_or_a_refusal(tmp_path, name, content):
    make_checkpoint(tmp_path, 2, RUN)
    (make_checkpoint(tmp_path, 4, RUN) / name).write_bytes(content)
    try:
        found = find_checkpoints(tmp_path, RUN)
    except ValueError as error:
        assert "checkpoint-4" in str(error) and "\x1b" not in str(error)
    else:
        assert found.newest == tmp_path / "checkpoint-2" and len(found.broken) == 1


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_one_that_was_sharded_otherwise_is_refused(tmp_path):
    plain, parts = make_checkpoint(tmp_path, 2, RUN), write_in_parts(make_checkpoint(tmp_path, 4, RUN))
    deepspeed = make_checkpoint(tmp_path, 6, RUN)
    (deepspeed / "latest").write_text("global_step6")
    kinds = [(plain, False, False), (parts, False, True), (deepspeed, True, False)]
    for checkpoint, is_deepspeed, is_fsdp in kinds:
        trainer = SimpleNamespace(is_deepspeed_enabled=is_deepspeed, is_fsdp_enabled=is_fsdp)
        check_kind(checkpoint, trainer)
        for other in {plain, parts, deepspeed} - {checkpoint}:
            with pytest.raises(ValueError, match=f"{other} was written with .*Launch it as it was launched before"):
                check_kind(other, trainer)
