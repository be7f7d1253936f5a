"""mergekit's own merge options on our ``merge`` command, without importing mergekit to declare them.

The names and meanings are ``mergekit.options.MergeOptions``'; a test holds the two together.
Left out are those that would break a promise of this command (pickled weights, remote code),
and those with nothing to do here: embeddings are always the base's, and merged adapters are not kept.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LEFT_OUT = (
    "trust_remote_code",
    "safe_serialization",
    "lazy_unpickle",
    "unsafe_truncate_embeddings",
    "lora_merge_cache",
)

_FLAGS = {
    "allow_crimes": "Allow mixing architectures.",
    "async_write": "Write output shards asynchronously (faster, more memory).",
    "clone_tensors": "Clone tensors before saving.",
    "copy_tokenizer": "Copy the base's tokenizer to the output [default: yes]",
    "cuda": "Do the tensor arithmetic on the GPU.",
    "low_cpu_memory": "Keep results and intermediate values on the accelerator.",
    "multi_gpu": "Use mergekit's parallel graph execution on several GPUs.",
    "quiet": "No progress bars.",
    "read_to_gpu": "Read model weights directly to the accelerator.",
    "write_model_card": "Write README.md and mergekit_config.yml  [default: yes]",
}
_VALUES: dict[str, tuple[Any, str]] = {
    "device": (str, "Device for the tensor arithmetic."),
    "lora_merge_dtype": (str, "dtype that merged adapters are rounded to  [default: float32]"),
    "num_threads": (click.IntRange(min=1), "Threads for CPU arithmetic."),
    "out_shard_size": (str, "Parameters per output shard, such as 500M or 5B."),
    "random_seed": (int, "Seed, for methods that draw random numbers."),
    "transformers_cache": (click.Path(file_okay=False), "Cache folder of downloaded models."),
    "write_threads": (click.IntRange(min=1), "Threads for asynchronous writes."),
}


def mergekit_options(command: F) -> F:
    """Add mergekit's options to a click command; given ones arrive as keyword arguments, others as None."""
    decorate: Any = command
    for name, (kind, text) in reversed(_VALUES.items()):
        names = ["--num-threads", "-j", name] if name == "num_threads" else [_dashed(name), name]
        decorate = click.option(*names, type=kind, default=None, help=text)(decorate)
    for name, text in reversed(_FLAGS.items()):
        flag = f"{_dashed(name)}/--no-{_dashed(name)[2:]}"
        decorate = click.option(flag, name, default=None, help=text)(decorate)
    decorate = click.option(
        "--gpu-rich", is_flag=True, default=None,
        help="Alias for --cuda --low-cpu-memory --read-to-gpu --multi-gpu.",
    )(decorate)  # fmt: skip
    result: F = click.option("-v", "verbosity", count=True, help="More log lines; repeat for still more.")(
        decorate
    )
    return result


def chosen_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options the user gave, as fields of ``MergeOptions``.

    Raises:
        click.BadParameter: A shard size that cannot be read.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    if "out_shard_size" in chosen:
        chosen["out_shard_size"] = _parameters(chosen["out_shard_size"])
    return chosen


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parameters(text: str) -> int:
    scale = {"k": 10**3, "m": 10**6, "b": 10**9}.get(text[-1:].lower())
    digits = text[:-1] if scale else text
    if not digits.isdecimal() or int(digits) == 0:
        raise click.BadParameter(
            f"expected a size such as 500M or 5B, got {text!r}", param_hint="--out-shard-size"
        )
    return int(digits) * (scale or 1)
