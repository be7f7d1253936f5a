"""How much memory is free, and how to say an amount of it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    import torch

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


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
