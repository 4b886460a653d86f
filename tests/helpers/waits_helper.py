"""What a CUDA graph cannot hold, seen on a CPU."""

from torch.utils._python_dispatch import TorchDispatchMode


class Waits(TorchDispatchMode):
    """Collects operators that make the host wait for the device, size their result by data, or copy from the host."""

    FORBIDDEN = (
        "lift_fresh",
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "is_nonzero",
        "equal",
        "unique",
    )

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in self.FORBIDDEN:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))
