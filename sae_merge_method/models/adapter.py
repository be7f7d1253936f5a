"""A LoRA adapter as peft saves it: which tensors of a model it changes, and by what.

Names are read past what wrappers leave in them (torch.compile, DDP, FSDP, checkpointing), and an adapter is
held against a model in the layers that are asked for alone: what it does to embeddings, head or other
layers does not matter there. The arithmetic is left to :mod:`sae_merge_method.models.adapter_merge`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.layers import Unit, unit_of
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry, read_header
from sae_merge_method.models.lora_config import ADAPTER_CONFIG, WITH_PEFT, lora_scale, why_not_two_factors
from sae_merge_method.models.residual_axes import residual_axis
from sae_merge_method.models.shards import file_inside, read_json
from sae_merge_method.models.tensor_names import LayerPart, describe_layout, layer_part
from sae_merge_method.models.unreadable import explain, held_in_files
from sae_merge_method.models.wrappers import plain_name, told, wrappers_of

ADAPTER_FILE = "adapter_model.safetensors"

_FACTOR = re.compile(
    r"(?P<module>.+)\.lora_(?P<kind>A|B|magnitude_vector)(?:\.(?!weight$|bias$)\w+)?(?:\.(?P<end>weight|bias))?",
    re.ASCII,
)
_SAVED = re.compile(r"\.modules_to_save(?:\.\w+(?=\.(?:weight|bias)$))?|\.base_layer(?=\.)", re.ASCII)


class Factors(NamedTuple):
    """What an adapter does to one tensor: adds ``scale`` B A, and with a magnitude, DoRA's, sets norms."""

    a: TensorEntry
    """(rank, in)"""
    b: TensorEntry
    """(out, rank)"""
    scale: float
    magnitude: TensorEntry | None = None
    """(out,) norms of the rows of the merged matrix; None for a plain LoRA."""


@dataclass(frozen=True)
class Adapter:
    """One adapter, its config and header read."""

    folder: Path
    config: Mapping[str, Any]
    factors: Mapping[LayerPart, Factors]
    """By the part of a model that they change."""
    saved: Mapping[LayerPart, TensorEntry]
    """Tensors that it holds whole, in place of its model's."""
    faults: Mapping[LayerPart, str]
    """By tensor of a model, what stands there that cannot be read, in words."""
    wrappers: tuple[str, ...]
    """What wrappers left in its names, for example ``_orig_mod.``; they were read without it."""
    layout: str
    """How its tensors are named, in words."""

    def is_turned(self, part: LayerPart, own: TensorEntry) -> bool:
        """Whether its model stores a matrix that it changes as (in, out), as GPT-2 does.

        By the model, as peft decides it: ``fan_in_fan_out`` counts only where neither name nor shape tells.
        """
        known = residual_axis(own.name)
        if known is not None and known.axis is not None:
            return known.axis == (0 if known.side == "read" else 1)
        shape = self._shape(part)
        if shape != shape[::-1]:
            return own.shape == shape[::-1]
        return bool(self.config.get("fan_in_fan_out"))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about it though it can be read, in words."""
        return tuple(f"{told(one)}: read without it" for one in self.wrappers)

    def require_fits(self, model: Checkpoint, layers: Collection[Unit], name: str) -> None:
        """Make sure that the adapter can be merged into a model's layers, or parts of them.

        Args:
            model: The model.
            layers: What is read.
            name: How messages name model and adapter.

        Raises:
            MergeError: It cannot; the message says why.
        """
        for part, fault in self.faults.items():
            if unit_of(layers, part) is not None:
                raise MergeError(f"the adapter of {name}: {fault}")
        if not self.factors and not self.saved:
            raise MergeError(f"the adapter of {name} changes no decoder layer ({self.layout})")
        deepest = max(part.layer for part in (*self.factors, *self.saved))
        if deepest >= model.n_layers:
            raise MergeError(
                f"the adapter of {name} was made for a deeper model: it changes layer {deepest}, its model "
                f"has {model.n_layers} layers"
            )
        for part in sorted(
            part for part in (*self.factors, *self.saved) if unit_of(layers, part) is not None
        ):
            own = model.layer_tensors.get(part)
            if own is None:
                raise MergeError(
                    f"the adapter of {name} ({self.layout}) changes layer {part.layer}'s {part.part}, which "
                    f"its model ({model.layout}) does not have{self._hint()}"
                )
            shape = self._shape(part)
            if part in self.factors and self.is_turned(part, own):
                shape = shape[::-1]
            if own.shape != shape:
                raise MergeError(
                    f"the adapter of {name} changes a tensor of shape {list(shape)} in layer {part.layer}'s "
                    f"{part.part}, its model has one of {list(own.shape)} there"
                )

    def _shape(self, part: LayerPart) -> tuple[int, ...]:
        if part in self.saved:
            return self.saved[part].shape
        factors = self.factors[part]
        return factors.b.shape[0], factors.a.shape[1]

    def _hint(self) -> str:
        return f": {WITH_PEFT}" if self.config.get("target_parameters") else ""


def open_adapter(folder: Path) -> Adapter:
    """Read an adapter's config and header.

    Raises:
        ModelError: No safetensors adapter there, a damaged one, or one whose change of the weights is not
            that of two factors.
    """
    file = file_inside(folder, ADAPTER_FILE)
    if not file.exists():
        kind = held_in_files(path.name for path in folder.iterdir())
        missing = f"expected {ADAPTER_FILE} in {folder}"
        raise ModelError(missing if kind is None else explain(f"the adapter in {folder}", kind))
    config = read_json(file_inside(folder, ADAPTER_CONFIG), "an adapter's config")
    reason = why_not_two_factors(config)
    if reason is not None:
        raise ModelError(f"the adapter in {folder} {reason}")
    header = read_header(file)
    sides: dict[str, dict[LayerPart, TensorEntry]] = {"A": {}, "B": {}, "magnitude_vector": {}}
    saved: dict[LayerPart, TensorEntry] = {}
    modules: dict[LayerPart, str] = {}
    faults: dict[LayerPart, str] = {}
    plain = {name: plain_name(name) for name in header}
    for name, entry in header.items():
        match = _FACTOR.fullmatch(plain[name])
        if match is None:
            part = layer_part(_SAVED.sub("", plain[name]))
            if part is not None and ".original_module." not in name:
                saved[part] = entry
            continue
        part = layer_part(f"{match['module']}.weight")
        if part is None:
            continue  # an embedding, the head, a vision tower
        side = sides[match["kind"]]
        if match["end"] == "bias":
            faults[part] = f"{name} is a bias of its own (lora_bias): {WITH_PEFT}"
            continue
        if part in side:
            faults[part] = f"{name} and {side[part].name} are two adapters in one file: keep one"
        elif not entry.is_float or (match["kind"] != "magnitude_vector" and len(entry.shape) != 2):
            faults[part] = f"{name} is {entry.dtype} {list(entry.shape)}: expected a matrix of numbers"
        side[part], modules[part] = entry, match["module"]
    factors: dict[LayerPart, Factors] = {}
    for part in sorted({*sides["A"], *sides["B"], *sides["magnitude_vector"]}):
        a, b = sides["A"].get(part), sides["B"].get(part)
        if a is None or b is None:
            faults.setdefault(part, f"of {modules[part]} it holds only one of lora_A and lora_B")
        elif part not in faults:
            scale = lora_scale(config, modules[part], a.shape, b.shape)
            if isinstance(scale, str):
                faults[part] = scale
            else:
                magnitude = sides["magnitude_vector"].get(part)
                factors[part] = Factors(a, b, scale, magnitude)
                if bool(config.get("use_dora")) != (magnitude is not None):
                    held = "no magnitudes" if magnitude is None else "magnitudes"
                    dora = f"{ADAPTER_CONFIG} says use_dora {config.get('use_dora')}"
                    faults[part] = f"{dora}, and it holds {held} of {modules[part]}"
    layout = describe_layout(plain.values())
    return Adapter(folder, config, factors, saved, faults, wrappers_of(plain), layout)
