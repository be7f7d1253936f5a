"""Which parameter of a loaded model is which tensor of a task vector.

Files name a tensor by one of several layouts, transformers names it by its own; both are read here to a layer
and a part. A tensor that the loaded model keeps in another form, such as experts that transformers fuses, is
refused by name: there is no parameter whose gradient is its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.parts import PARTS, part_of
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.tensor_names import LayerPart, common_name, layer_part

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel

_OUTSIDE = "model."
_NORMS = ("norm", "ln_")


@dataclass(frozen=True, eq=False)
class LiveTensor:
    """One tensor of a task vector, and the parameter that holds it."""

    name: str
    """The base's name for it, in its files."""
    layer: int | None
    """Decoder layer; None for embeddings, final norm and head."""
    part: str
    """What it is inside its layer, for example ``mlp.up_proj.weight``; outside one, its name in every
    layout."""
    parameter: "torch.nn.Parameter"
    """Of the loaded model. Tied weights are one parameter, and so one tensor here."""
    base: TensorEntry
    donors: tuple[TensorEntry, ...]
    """The same tensor of every donor."""

    @property
    def kind(self) -> str:
        """What it is a part of: in a layer "attention" or "MLP" with all that a gate opens by these names,
        else "norm" or "other"; outside, its own name."""
        if self.layer is None:
            return self.part.removesuffix(".weight")
        part = part_of(self.part)
        if part is not None:
            return PARTS[part].title
        return "norm" if any(sign in self.part.lower() for sign in _NORMS) else "other"


@dataclass(frozen=True)
class Matched:
    """All tensors of a task vector on a loaded model."""

    tensors: tuple[LiveTensor, ...]
    """Layer after layer, then what lies outside the layers."""
    left_out: tuple[str, ...]
    """What of base and donors has no place in it, in words."""


def match_tensors(
    model: "TextModel", base: Checkpoint, donors: Mapping[str, Checkpoint], *, outside: bool
) -> Matched:
    """Find the parameter of every tensor.

    Args:
        model: The base, loaded with its head.
        base: Its files.
        donors: Checkpoints whose decoder layers are known to fit the base's, by name.
        outside: Whether embeddings, final norm and head belong to the task vector, too.

    Raises:
        ModelError: The loaded model keeps a tensor of a layer in a form of its own, and a donor changes it.
    """
    layers = tuple(_of_layers(model, base, donors))
    if not outside:
        return Matched(layers, ())
    taken = {id(tensor.parameter) for tensor in layers}
    beyond, left_out = _outside_layers(model, base, donors, taken)
    return Matched((*layers, *beyond), left_out)


def _of_layers(
    model: "TextModel", base: Checkpoint, donors: Mapping[str, Checkpoint]
) -> Iterator[LiveTensor]:
    live = {
        LayerPart(layer, name): parameter
        for layer, block in enumerate(model.blocks)
        for name, parameter in block.named_parameters()
    }
    held = {key: entry for key, entry in base.layer_tensors.items() if key.layer < len(model.blocks)}
    for key in sorted(held.keys() - live.keys()):
        _require_unchanged(key, base, donors, live)
    for key in sorted(live.keys() - held.keys()):
        raise ModelError(
            f"{base.folder}: the loaded model has a parameter {key.part} in layer {key.layer} that its files "
            f"do not hold under that name{_fused(key.part)}: its task vector cannot be told"
        )
    for key in sorted(held.keys() & live.keys()):
        entry, parameter = held[key], live[key]
        if tuple(parameter.shape) != entry.shape:
            raise ModelError(
                f"{entry.name}: the loaded model keeps it in the shape {list(parameter.shape)}, its file in "
                f"{list(entry.shape)}: its gradient is not the tensor's"
            )
        others = tuple(donor.layer_tensors[key] for donor in donors.values())
        yield LiveTensor(entry.name, key.layer, key.part, parameter, entry, others)


def _require_unchanged(
    key: LayerPart, base: Checkpoint, donors: Mapping[str, Checkpoint], live: Mapping[LayerPart, object]
) -> None:
    """A tensor without a parameter, such as a buffer, must be the same in every donor."""
    entry = base.layer_tensors[key]
    for name, donor in donors.items():
        other = donor.layer_tensors.get(key)
        with WeightFiles((base, donor)) as files:
            if other is not None and files.same_bytes(entry, other):
                continue
        parts = sorted(part for layer, part in live if layer == key.layer and "expert" in part)
        kept = f"; it keeps {', '.join(parts)}" if parts else ""
        raise ModelError(
            f"{entry.name}: the donor {name} changes it, and the loaded model has no parameter of that "
            f"name{kept}: transformers keeps it in another form, and its gradient cannot be told from others"
        )


def _fused(part: str) -> str:
    return " (transformers fuses experts that files hold one by one)" if "expert" in part else ""


def _outside_layers(
    model: "TextModel", base: Checkpoint, donors: Mapping[str, Checkpoint], taken: set[int]
) -> tuple[list[LiveTensor], tuple[str, ...]]:
    """Embeddings, final norm and head: by parameter, so that tied weights count once."""
    names = _names_outside(model)
    of_donors = [_by_common_name(donor) for donor in donors.values()]
    live: list[LiveTensor] = []
    left_out: list[str] = []
    for common, entry in sorted(_by_common_name(base).items()):
        parameter = names.get(common)
        if parameter is None or id(parameter) in taken:
            continue
        others = [tensors.get(common) for tensors in of_donors]
        fault = _why_not(entry, others, tuple(donors), tuple(parameter.shape))
        if fault is not None:
            left_out.append(fault)
            continue
        taken.add(id(parameter))
        part = common.removeprefix(_OUTSIDE)
        live.append(LiveTensor(entry.name, None, part, parameter, entry, tuple(filter(None, others))))
    return live, tuple(left_out)


def _why_not(
    entry: TensorEntry, others: Sequence[TensorEntry | None], donors: Sequence[str], shape: tuple[int, ...]
) -> str | None:
    if entry.shape != shape:
        return f"{entry.name} has the shape {list(entry.shape)} in its file, {list(shape)} in memory"
    for name, other in zip(donors, others, strict=True):
        if other is None:
            return f"{entry.name} is not in the donor {name}"
        if other.shape != entry.shape:
            return f"{entry.name} has the shape {list(entry.shape)}, in the donor {name} {list(other.shape)}"
        if not other.is_float or not entry.is_float:
            return (
                f"{entry.name} is {entry.dtype}, in the donor {name} {other.dtype}: not numbers to subtract"
            )
    return None


def _names_outside(model: "TextModel") -> "dict[str, torch.nn.Parameter]":
    """By common name, the parameters of decoder and head that belong to no block; tied ones by every name."""
    assert model.causal is not None, "loaded without its head"
    inside = {id(parameter) for parameter in model.blocks.parameters()}
    causal: Any = model.causal
    head = causal.get_output_embeddings()
    wanted = {id(parameter) for parameter in model.decoder.parameters()} - inside
    wanted |= {id(parameter) for parameter in head.parameters()} if head is not None else set()
    names = {
        common_name(name): parameter
        for name, parameter in causal.named_parameters(remove_duplicate=False)
        if id(parameter) in wanted
    }
    # Files of a decoder without a head have its names alone: "wte.weight".
    bare = model.decoder.named_parameters(remove_duplicate=False)
    return {name: parameter for name, parameter in bare if id(parameter) in wanted} | names


def _by_common_name(checkpoint: Checkpoint) -> dict[str, TensorEntry]:
    return {
        common_name(name): entry for name, entry in checkpoint.tensors.items() if layer_part(name) is None
    }
