"""Which layers are encoded in which sweep over the documents, so that encoders and batches fit in memory."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_TEMPORARIES = 4
"""Buffers of (tokens x features) in float32 that encoding and counting one batch may hold."""
_SHARE = 0.8
"""Of the free memory: the rest is for what is not counted here."""


class Work(NamedTuple):
    """What the plan is made from."""

    layers: Sequence[int]
    encoder_bytes: int
    """Memory of one encoder."""
    d_model: int
    d_sae: int
    batch_tokens: int
    """Tokens that go through the model together."""
    tokens: int
    """Counted tokens of all documents."""
    model_parameters: int
    """Of the decoder's blocks."""


class Plan(NamedTuple):
    """The sweeps over all documents, and what they are expected to take."""

    groups: tuple[tuple[int, ...], ...]
    """Layers of each sweep."""
    encoder_bytes: int
    """Encoders of the largest group."""
    batch_bytes: int
    """What encoding one batch holds beside them."""
    tokens: int
    """Counted tokens of all documents."""
    seconds: float
    """Estimate from the speed of a matrix product on this machine."""

    def __str__(self) -> str:
        sweeps = "one sweep" if len(self.groups) == 1 else f"{len(self.groups)} sweeps"
        layers = sum(len(group) for group in self.groups)
        return (
            f"{layers} layers over {self.tokens:,} tokens in {sweeps}: about "
            f"{format_memory(self.encoder_bytes + self.batch_bytes)} beside the model "
            f"(encoders {format_memory(self.encoder_bytes)}, one batch {format_memory(self.batch_bytes)}), "
            f"about {_duration(self.seconds)}"
        )


def make_plan(work: Work, memory: int, speed: float) -> Plan:
    """Split the layers into as few, as equal groups as fit.

    At least one encoder must be in memory at a time, whatever ``memory`` says.

    Args:
        work: Sizes.
        memory: Bytes to use beside the model.
        speed: Floating-point operations a second.
    """
    batch = work.batch_tokens * work.d_sae * 4 * _TEMPORARIES + work.batch_tokens * work.d_model * 16
    room = max(0, int(memory * _SHARE) - batch)
    most = max(1, room // max(1, work.encoder_bytes))
    sweeps = -(-len(work.layers) // most)
    size = -(-len(work.layers) // sweeps)
    groups = tuple(tuple(work.layers[start : start + size]) for start in range(0, len(work.layers), size))
    forward = 2 * work.model_parameters * len(groups)
    encode = 2 * work.d_model * work.d_sae * len(work.layers)
    return Plan(
        groups=groups,
        encoder_bytes=size * work.encoder_bytes,
        batch_bytes=batch,
        tokens=work.tokens,
        seconds=work.tokens * (forward + encode) / speed,
    )


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


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
