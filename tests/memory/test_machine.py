"""A machine, read from its accelerate config."""

import os
from dataclasses import replace

import pytest
from fine_tunes import ACCELERATE, H100

from s1_hf import memory
from s1_hf.memory import Machine


def test_a_machine_is_read_from_its_accelerate_config(tmp_path):
    path = tmp_path / "2x8-h100.yaml"
    path.write_text(ACCELERATE)
    assert memory.machine_from_accelerate(path) == replace(H100, one_loads=False)
    path.write_text(ACCELERATE.replace("params: false", "params: true").replace("forward: true", "forward: false"))
    assert memory.machine_from_accelerate(path, 5) == Machine(
        "2x8-h100", 16, 5, nodes=2, sharding="gradients", offload=True, one_loads=False
    )


def test_a_machine_that_the_formulas_do_not_cover_is_refused_with_its_remedy(tmp_path):
    path = tmp_path / "1x8-h100.yaml"
    path.write_text(ACCELERATE.replace("version: 2", "version: 1"))
    with pytest.raises(ValueError, match="accelerate to-fsdp2"):
        memory.machine_from_accelerate(path)
    path.write_text("distributed_type: MEGATRON_LM\nnum_processes: 8")
    with pytest.raises(ValueError, match="FSDP, DEEPSPEED, MULTI_GPU or NO, but is MEGATRON_LM"):
        memory.machine_from_accelerate(path)


def test_an_unknown_gpu_lists_the_known_ones():
    with pytest.raises(ValueError, match="'h900' is not known, only that of a100, .*h100, h200.*--gpu-memory"):
        memory.gpu_memory("h900")


def test_a_file_that_describes_no_machine_is_named(tmp_path):
    file = tmp_path / "none-h100.yaml"
    file.write_text("num_processes: 0\n")
    with pytest.raises(ValueError, match="No plan for .*none-h100.yaml: `gpus` has to be at least 1"):
        memory.machine_from_accelerate(file)


def test_a_machine_that_cannot_exist_is_refused_with_all_reasons():
    with pytest.raises(ValueError, match="`gpus` has to be a multiple of `nodes`, but 3 is.*`offload` needs FSDP"):
        Machine("odd", 3, 1, nodes=2, sharding="none", offload=True)


def test_the_memory_of_the_cpu_is_the_same_with_and_without_sysconf(tmp_path, monkeypatch):
    pytest.importorskip("psutil")
    (tmp_path / "cpu.yaml").write_text("distributed_type: 'NO'\nnum_processes: 1\nuse_cpu: true")
    posix = memory.machine_from_accelerate(tmp_path / "cpu.yaml").gpu_memory
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory.machine_from_accelerate(tmp_path / "cpu.yaml").gpu_memory == pytest.approx(posix, rel=1e-3)
