"""What may not wait for the device."""

from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):
    """Fails where the host would wait for the device."""

    banned = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.__name__.split(".")[0] not in self.banned, f"{func.__name__} waits for the device"
        return func(*args, **(kwargs or {}))
