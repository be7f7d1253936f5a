"""What a device can do: in which precision it multiplies, how fast, and how much memory is free on it."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def product_dtype(dtype: "torch.dtype", device: "torch.device") -> "torch.dtype":
    """The precision in which matrix products of ``dtype`` are fast here: its own, or float32.

    A processor without AVX-512 has no bfloat16 arithmetic: torch then multiplies element by
    element, up to two hundred times slower than in float32.
    """
    import torch

    if device.type == "cpu" and dtype == torch.bfloat16:
        capability = torch.backends.cpu.get_cpu_capability()
        return torch.float32 if capability in ("DEFAULT", "NO AVX", "AVX2") else dtype
    return dtype


def matmul_speed(dtype: "torch.dtype", device: "torch.device", size: int = 1024) -> float:
    """Floating-point operations a second of a matrix product here, measured in a few milliseconds."""
    import torch

    square = torch.ones(size, size, dtype=dtype, device=device)
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        (square @ square)[0, 0].item()  # reading a number waits for the device
        durations.append(time.perf_counter() - start)
    return 2 * size**3 / min(durations)


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
    """Bytes free on a GPU, or available to this process and its container on the CPU."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_available(), _container_room()]
    known = [limit for limit in limits if limit is not None]
    # Where neither is known (not Linux) an ordinary amount is assumed rather than none.
    return min(known) if known else 8 << 30


def _available() -> int | None:
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def _container_room() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used) if limit.isdigit() else None
