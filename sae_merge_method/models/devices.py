"""Which device a name means here, and how much memory is free on it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psutil
from pydantic import AfterValidator

from sae_merge_method.errors import UsageError, first_line

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

AUTO = "auto"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_DEVICE = re.compile(r"[a-z]+(:\d+)?")
_CGROUP = Path("/sys/fs/cgroup")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _device_like(value: str) -> str:
    """What has the form of a device's name; whether there is one is asked where torch is at hand."""
    if _DEVICE.fullmatch(value) is None:
        raise ValueError(f"expected auto, or a torch device such as cpu, cuda, cuda:1 or mps, got {value!r}")
    return value


DeviceName = Annotated[str, AfterValidator(_device_like)]
"""A field of settings that names a device: auto, or what torch calls one."""


def _amount_like(value: str) -> str:
    """What :func:`parse_memory` can read."""
    try:
        _ = value == AUTO or parse_memory(value)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return value


MemoryAmount = Annotated[str, AfterValidator(_amount_like)]
"""A field of settings that gives an amount of memory: auto, or such as 6G."""


def resolve_device(name: str = AUTO) -> str:
    """The torch device that a name means on this machine.

    Args:
        name: A torch device; or :data:`AUTO` for the first there is of cuda, mps and cpu.

    Raises:
        UsageError: There is no such device here.
    """
    import torch

    if name == AUTO:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch's ways to say that there is none
        raise UsageError(f"cannot use the device {name!r}: {first_line(error)}") from error
    gpus = torch.cuda.device_count()
    # GPUs are counted, not tried: to try one takes memory of it.
    if device.type == "cuda" and not (device.index or 0) < gpus:
        there = f"cuda:0 to cuda:{gpus - 1}" if gpus > 1 else "cuda:0 alone" if gpus else "no CUDA GPU"
        raise UsageError(f"cannot use the device {name!r}: torch sees {there}; auto is the best there is")
    if device.type == "meta":
        raise UsageError(f"cannot use the device {name!r}: nothing is computed there")
    return name


def exact_device(device: "torch.device") -> "torch.device":
    """Where float64 sums of a device's numbers are held: there, or on the CPU where it has none (MPS)."""
    import torch

    return torch.device("cpu") if device.type == "mps" else device


def sent(array: "npt.NDArray[Any]", device: "torch.device") -> "torch.Tensor":
    """An array on a device; a GPU is not waited for.

    CUDA keeps what it copies from pinned memory until it is copied. Of no other device is that known: there
    the array's memory might be another's before it is read.
    """
    import torch

    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass
class Peak:
    """The most memory that some work took."""

    nbytes: int = 0
    """Above what was taken before it; 0 where nothing tells."""


@contextmanager
def peak_memory(device: "torch.device") -> Iterator[Peak]:
    """Measure the most memory that the work within takes, on a GPU or, where Linux tells, in this process."""
    import torch

    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.nbytes = int(torch.cuda.max_memory_allocated(device)) - before
        return
    with suppress(OSError):
        _CLEAR.write_text("5")  # the process's high-water mark begins anew
    start = _resident("VmRSS")
    yield peak
    end = _resident("VmHWM")
    if start is not None and end is not None:
        peak.nbytes = max(0, end - start)


def _resident(name: str) -> int | None:
    try:
        match = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def memory_budget(text: str, device: "torch.device") -> int:
    """Bytes to use: an amount such as ``6G``, or what is free for :data:`AUTO`."""
    return free_memory(device) if text == AUTO else parse_memory(text)


def parse_memory(text: str) -> int:
    """Bytes of an amount such as ``6G``, ``512 MiB`` or plain bytes.

    Raises:
        UsageError: Not an amount of memory.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"expected an amount of memory such as 6G or 512M, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def format_memory(amount: float) -> str:
    """An amount as a person reads it: ``2.7 GiB``."""
    return f"{amount / (1 << 30):.1f} GiB" if amount >= 1 << 30 else f"{amount / (1 << 20):.0f} MiB"


def free_memory(device: "torch.device") -> int:
    """Bytes free on a GPU, or available to this process and its container in the machine's own memory."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    available: int = psutil.virtual_memory().available
    if device.type == "mps":  # the machine's memory too, of which the system lends it a part
        available = min(available, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    room = _container_room()
    return max(0, available if room is None else min(available, room))


def _container_room() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used) if limit.isdigit() else None
