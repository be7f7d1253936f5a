"""The precision that products are fast in here: a checkpoint's own 16 bits, or float32.

A processor without 16-bit arithmetic multiplies element by element, up to two hundred times slower than in
float32. For the products of an encoder the processor's capabilities tell; for a whole model, which takes
twice the memory in float32, it is measured.
"""

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from sae_merge_method.models.devices import AUTO, format_memory, free_memory

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_CLEARLY = 1.5
"""How many times faster float32 must be to be taken: less may be a measurement's luck, and an interrupted
run would go on in another precision."""
_SHARE_OF_MEMORY = 0.7
"""Of what is free, how much the weights may take: activations need the rest."""

_SMALL, _LARGE = 256, 2048
"""Sides of the matrices that products are tried with."""
_SLOW = 2e9
"""Operations a second, below which a large product would take many seconds."""


def product_dtype(dtype: "torch.dtype", device: "torch.device") -> "torch.dtype":
    """The precision in which matrix products of ``dtype`` are fast here: its own, or float32."""
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


def speed_of_products(dtype: "torch.dtype", device: "torch.device") -> float:
    """Floating-point operations a second of large matrix products here, for a person to read."""
    small = matmul_speed(dtype, device, _SMALL)
    return small if small < _SLOW else matmul_speed(dtype, device, _LARGE)


def model_dtype(config: Any, device: str | None) -> str:
    """What to load a model in where its user leaves the precision to us.

    Float32 in place of 16 bits where a matrix product measured here is clearly faster in it and the weights
    fit; what is taken, and why, is logged.

    Args:
        config: Of transformers; its weights are counted, none is read.
        device: A torch device; None for a model that is spread over several.

    Returns:
        Name of a torch dtype; "auto", the checkpoint's own, where nothing speaks for another.
    """
    import torch

    stored = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    if device is None or stored not in (torch.bfloat16, torch.float16):
        return AUTO
    gain = _gain(stored, device)
    if gain < _CLEARLY:
        return AUTO
    name, needed = str(stored).removeprefix("torch."), 4 * _count_weights(config)
    if needed > _SHARE_OF_MEMORY * free_memory(torch.device(device)):
        logger.warning(
            "%s here is %.0f times slower than float32, which would need %s for the weights",
            name,
            gain,
            format_memory(needed),
        )
        return AUTO
    logger.info("computing in float32: %s is %.0f times slower on this %s", name, gain, device)
    return "float32"


@cache
def _gain(stored: "torch.dtype", device: str) -> float:
    """How many times faster than in the stored precision a product is in float32."""
    import torch

    at = torch.device(device)
    # Where products are slow, a small one says so; on a GPU a small one tells of its start alone.
    size = _SMALL if at.type == "cpu" else _LARGE
    return matmul_speed(torch.float32, at, size) / matmul_speed(stored, at, size)


def _count_weights(config: Any) -> int:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(weight.numel() for weight in model.parameters())
