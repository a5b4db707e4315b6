"""DeepSpeed's and parallelism's fields of accelerate's file, and DeepSpeed's own."""

import json

import pytest

from s1_hf import memory
from s1_hf.memory import Machine, Zero

HEAD = "num_processes: 16\nnum_machines: 2\n"
GPU = 80 * 2**30


def machine(path, text):
    path.write_text(HEAD + text)
    return memory.machine_from_accelerate(path, GPU)


def test_zero_is_read_from_accelerates_fields(tmp_path):
    text = "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3, offload_optimizer_device: cpu}"
    zero = Zero(3, offload_optimizer=True)
    assert machine(tmp_path / "m.yaml", text) == Machine(
        "m", 16, GPU, nodes=2, sharding="zero", zero=zero, one_loads=True
    )
    text = "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 2}"
    assert machine(tmp_path / "m.yaml", text).zero == Zero(2)
    text = "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 0}"
    assert machine(tmp_path / "m.yaml", text).sharding == "none"


def test_zero_is_read_from_deepspeeds_file_beside_it_where_auto_is_deepspeeds_default(tmp_path):
    offload = {"device": "cpu", "pin_memory": True}
    settings = {"stage": 3, "offload_param": offload, "reduce_bucket_size": "auto", "sub_group_size": 1e8}
    (tmp_path / "zero.json").write_text(json.dumps({"zero_optimization": settings, "bf16": {"enabled": "auto"}}))
    text = "distributed_type: DEEPSPEED\ndeepspeed_config: {deepspeed_config_file: zero.json}"
    assert machine(tmp_path / "m.yaml", text).zero == Zero(3, offload_weights=True, step=100_000_000)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"stage": 4}, "has to be 1, 2 or 3, but is 4"),
        ({"stage": 2, "offload_param": {"device": "cpu"}}, "`offload_param` needs stage 3"),
        ({"stage": 3, "offload_optimizer": {"device": "nvme"}}, "has to be cpu or none to be planned, but is 'nvme'"),
        ({"stage": 3, "reduce_bucket_size": "big"}, "numbers of elements, but one is 'big'"),
        ({"stage": 3, "offload_param": "cpu"}, "`offload_param` has to be"),
    ],
)
def test_what_deepspeed_does_not_know_or_we_do_not_plan_is_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        memory.with_deepspeed(
            Machine("m", 8, GPU, sharding="none"), {"deepspeed": json.dumps({"zero_optimization": settings})}
        )


def test_the_recipes_own_deepspeed_is_the_machines(tmp_path):
    file = tmp_path / "zero.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": 3}}))
    plain = Machine("m", 8, GPU, sharding="none", one_loads=False)
    assert memory.with_deepspeed(plain, {"deepspeed": str(file)}).zero == Zero(3)
    assert memory.with_deepspeed(plain, {}) is plain
    with pytest.raises(ValueError, match="choose one of them"):
        memory.with_deepspeed(Machine("m", 8, GPU), {"deepspeed": str(file)})


def test_gpus_that_share_rows_or_matrices_leave_fewer_with_rows_of_their_own(tmp_path):
    fsdp = "distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n"
    found = machine(tmp_path / "m.yaml", fsdp + "parallelism_config: {parallelism_config_cp_size: 8}")
    assert (found.context, found.shards, found.data_ranks) == (8, 16, 2)
    found = machine(tmp_path / "m.yaml", fsdp + "parallelism_config: {tp_size: 2, dp_replicate_size: 2}")
    assert (found.tensor, found.shards, found.data_ranks) == (2, 4, 8)
    with pytest.raises(ValueError, match="has to be a multiple of 3"):
        machine(tmp_path / "m.yaml", fsdp + "parallelism_config: {tp_size: 3}")
    with pytest.raises(ValueError, match="both split rows"):
        machine(tmp_path / "m.yaml", fsdp + "parallelism_config: {cp_size: 2, sp_size: 2}")
