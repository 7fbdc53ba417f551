"""Where a network runs, and the settings of torch for as long as it does; a leaf."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["device_named", "reproducible"]


def device_named(name: str) -> torch.device:
    """Return the device of a name of torch's; ``auto`` is CUDA where there is one."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def reproducible(device: torch.device, threads: int | None) -> Iterator[None]:
    """Settings of torch for the time of the work; the caller's own, and its chance, come back."""
    before = torch.get_num_threads()
    cuda = device.type == "cuda"
    cudnn = torch.backends.cudnn
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        with (
            torch.random.fork_rng(devices=[device.index or 0] if cuda else []),
            cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            yield
    finally:
        torch.set_num_threads(before)
