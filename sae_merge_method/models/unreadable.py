"""Weights that are no numbers to add and subtract: one row a kind, and nothing else lists them.

A quantised tensor is a code and its scales, which only its own kernels turn into numbers, and a pickled
one could run code. Each is told by what its config says, by the names of its tensors or by its files, and
each has a way out.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

_LOAD = "AutoModelForCausalLM.from_pretrained(FOLDER"
_UNQUANTISED = "name the unquantised model that it was made from (its model card says which)"


def _dequantised(config: str, package: str = "") -> str:
    needs = f" (with the package {package})" if package else ""
    return (
        f"{_UNQUANTISED}, or write one: {_LOAD}, quantization_config={config}(dequantize=True))"
        f".save_pretrained(OUT){needs}, and take quantization_config out of OUT/config.json"
    )


class Unreadable(NamedTuple):
    """One kind of weights that cannot be read as numbers."""

    name: str
    what: str
    """What such a model is, as the end of a sentence that begins with it."""
    way_out: str
    """What its user can do."""
    methods: tuple[str, ...] = ()
    """transformers' ``quant_method`` in a config."""
    tensors: tuple[str, ...] = ()
    """Patterns of tensors' names that no other model has."""
    files: tuple[str, ...] = ()
    """Patterns of the files that hold such weights in place of safetensors."""


UNREADABLE: dict[str, Unreadable] = {
    row.name: row
    for row in (
        Unreadable(
            "bitsandbytes",
            "is quantised by bitsandbytes (int8, nf4 or fp4)",
            f"{_UNQUANTISED}, or write one: {_LOAD}).dequantize().save_pretrained(OUT) (with the package "
            "bitsandbytes)",
            methods=("bitsandbytes",),
            tensors=("*.SCB", "*.absmax", "*.quant_map", "*.quant_state.bitsandbytes__*", "*.weight_format"),
        ),
        Unreadable(
            "compressed-tensors",
            "is quantised as compressed-tensors",
            _dequantised("CompressedTensorsConfig", "compressed-tensors"),
            methods=("compressed-tensors",),
            tensors=("*.weight_packed", "*.weight_shape", "*.weight_global_scale"),
        ),
        Unreadable(
            "NVFP4",
            "is quantised to NVFP4",
            _UNQUANTISED,
            methods=("nvfp4", "modelopt"),
            tensors=("*.weight_scale_2",),
        ),
        Unreadable(
            "FP8",
            "is quantised to FP8, with scales beside its weights",
            _dequantised("FineGrainedFP8Config"),
            methods=("fp8", "fbgemm_fp8", "mxfp8"),
            tensors=("*.weight_scale_inv", "*.weight_scale", "*.input_scale", "*.activation_scale"),
        ),
        Unreadable(
            "MXFP4",
            "is quantised to MXFP4",
            _dequantised("Mxfp4Config"),
            methods=("mxfp4",),
            tensors=("*_blocks",),
        ),
        Unreadable("GPTQ", "is quantised by GPTQ", _UNQUANTISED, methods=("gptq",), tensors=("*.g_idx",)),
        Unreadable(
            "AWQ", "is quantised by AWQ", _UNQUANTISED, methods=("awq",), tensors=("*.qweight", "*.qzeros")
        ),
        Unreadable("HQQ", "is quantised by HQQ", _UNQUANTISED, methods=("hqq",), tensors=("*.W_q",)),
        Unreadable(
            "EXL2 or EXL3",
            "is quantised for ExLlama",
            _UNQUANTISED,
            methods=("exl2", "exl3"),
            tensors=("*.q_weight", "*.q_invperm", "*.trellis"),
        ),
        Unreadable(
            "MLX",
            "is quantised for MLX",
            f"{_UNQUANTISED}, or write one: mlx_lm.convert --dequantize --hf-path FOLDER --mlx-path OUT",
            methods=("mlx",),
            tensors=("*.scales",),
        ),
        Unreadable(
            "GGUF",
            "is in GGUF, which llama.cpp reads",
            f"{_UNQUANTISED}, or write one: {_LOAD}, gguf_file=NAME, "
            "quantization_config=GgufConfig(dequantize=True)).save_pretrained(OUT) (with the package gguf; "
            "the numbers stay the quantised file's), and take quantization_config out of OUT/config.json",
            methods=("gguf",),
            files=("*.gguf",),
        ),
        Unreadable(
            "pickled",
            "is pickled, and reading it could run code: only safetensors weights are read",
            f"write it again where you trust it: {_LOAD}).save_pretrained(OUT)",
            files=("pytorch_model*.bin", "*.pt", "*.pth", "consolidated*.bin", "adapter_model.bin"),
        ),
        Unreadable(
            "TensorFlow or Flax",
            "is stored for TensorFlow or Flax: only safetensors weights are read",
            f"write it again with a transformers before version 5: {_LOAD}, from_tf=True)"
            ".save_pretrained(OUT), or from_flax=True",
            files=("tf_model*.h5", "flax_model*.msgpack"),
        ),
    )
}
"""All kinds by name, in the order in which they are tried."""

_CONFIG_KEYS = ("quantization_config", "compression_config", "quantization")


def quantised_by_config(config: Mapping[str, Any]) -> Unreadable | None:
    """How a config, or its text model's, says that a model is quantised; None where it does not."""
    nested = config.get("text_config")
    for part in (config, nested if isinstance(nested, dict) else {}):
        stated = next((part[key] for key in _CONFIG_KEYS if isinstance(part.get(key), dict)), None)
        if stated is not None:
            method = str(stated.get("quant_method") or _implied(part, stated)).lower()
            known = (row for row in UNREADABLE.values() if method in row.methods)
            return next(known, Unreadable(method, f"is quantised by {method}", _UNQUANTISED))
    return None


def quantised_by_names(names: Iterable[str]) -> Unreadable | None:
    """How tensors of these names are quantised; None where no name says so."""
    held = tuple(names)
    for row in UNREADABLE.values():
        if any(fnmatchcase(name, pattern) for name in held for pattern in row.tensors):
            return row
    return None


def held_in_files(names: Iterable[str]) -> Unreadable | None:
    """What kind of weights, other than safetensors, files of these names hold; None where none."""
    held = tuple(names)
    if any(name.endswith(".safetensors") for name in held):
        return None
    for row in UNREADABLE.values():
        if any(fnmatchcase(name.lower(), pattern) for name in held for pattern in row.files):
            return row
    return None


def held_at(path: Path) -> Unreadable | None:
    """The same of a folder's files, or of one file."""
    if path.is_dir():
        return held_in_files(sorted(file.name for file in path.iterdir()))
    return held_in_files([path.name]) if path.is_file() else None


def explain(what: str, kind: Unreadable) -> str:
    """What is wrong with a model, and the way out.

    Args:
        what: The model, as the beginning of a sentence.
        kind: How its weights are stored.
    """
    return f"{what} {kind.what}: expected weights that can be added and subtracted; {kind.way_out}"


def _implied(config: Mapping[str, Any], stated: Mapping[str, Any]) -> str:
    """The method of a config that does not name one."""
    if stated.get("load_in_4bit") or stated.get("load_in_8bit"):
        return "bitsandbytes"
    if stated is config.get("compression_config") or "config_groups" in stated:
        return "compressed-tensors"
    return "mlx" if "group_size" in stated and "bits" in stated else "an unknown method"
