"""The processes of one launch."""


def part() -> None:
    """Leave them, at the end of a command that has succeeded: a process that just exits may crash in it."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
