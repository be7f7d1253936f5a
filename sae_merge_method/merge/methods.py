"""mergekit merge methods: the decorated signature is the recipe's parameter schema.

Importing this module registers nothing; ``sae_merge_method.hosts.register`` does.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from mergekit.merge_methods import (
    BasePolicy,
    InputContract,
    OptionalTensorPolicy,
    PerNonBase,
    TensorGroup,
    merge_method,
)
from pydantic import BeforeValidator

from sae_merge_method.artifacts.diagnosis import diagnosis_path
from sae_merge_method.artifacts.method_parameters import (
    ScalpelParameters,
    StethoscopeParameters,
    validated_parameters,
)
from sae_merge_method.artifacts.recipe import Gate
from sae_merge_method.errors import MergeError, RecipeError
from sae_merge_method.merge.injection import inject
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.recipe.gate import selected_layers
from sae_merge_method.recipe.scalpel import Scalpel

PAPER = "https://arxiv.org/abs/2605.28649"


def _written_as_text(value: Any) -> Any:
    """Refuse what can only come from a YAML list or a bare number, before pydantic's own words."""
    if isinstance(value, str):
        return value
    raise ValueError(
        f'expected one string such as "9, 11-13", got {value!r}; '
        "mergekit reads a YAML list as a gradient over the layers, so quote the whole gate"
    )


Text = Annotated[str, BeforeValidator(_written_as_text)]


@merge_method(  # type: ignore[untyped-decorator]
    name="sae_stethoscope",
    pretty_name="SAE Stethoscope",
    reference_url=PAPER,
    contract=InputContract(base=BasePolicy.REQUIRED),
    # An optional head that only the base has is outside every layer: it stays the base's.
    optional_tensor_policy=OptionalTensorPolicy.PASSTHROUGH_BASE_SINGLETON,
)
def sae_stethoscope(
    group: TensorGroup,
    weight: PerNonBase[float] = 1.0,
    layers: Text = "",
    diagnosis: Text = "",
    select: Text = "",
    energy: float = 1.0,
) -> torch.Tensor:
    """Raw task vectors in the gated-in layers; the base tensor itself everywhere else."""
    if diagnosis and not select:
        raise RecipeError(f'diagnosis: "{diagnosis}" needs select: a rule such as top_k=6')
    entries = _entries("sae_stethoscope", group, weight)
    if decoder_layer(entries.name) not in _gate(layers, diagnosis, select, _stamp(diagnosis)):
        return entries.base
    parameters = validated_parameters("sae_stethoscope", {"energy": energy})
    assert isinstance(parameters, StethoscopeParameters)
    factor = parameters.factor
    return inject(entries.name, entries.base, entries.donors, [alpha * factor for alpha in entries.alphas])


@merge_method(  # type: ignore[untyped-decorator]
    name="sae_scalpel",
    pretty_name="SAE Scalpel",
    reference_url=PAPER,
    contract=InputContract(base=BasePolicy.REQUIRED),
    optional_tensor_policy=OptionalTensorPolicy.PASSTHROUGH_BASE_SINGLETON,
)
def sae_scalpel(
    group: TensorGroup,
    weight: PerNonBase[float] = 1.0,
    layers: Text = "",
    diagnosis: Text = "",
    select: Text = "",
    sae: Text = "",
    sae_id: Text = "",
    rank: Any = None,
    features: Text = "",
    mode: Text = "project",
    beta: float = 1.0,
    gamma: float = 1.0,
    energy_match: bool = False,
    seed: Any = 0,
    read_from: Text = "own",
    residual_axes: Text = "",
) -> torch.Tensor:
    """Task vectors filtered by SAE features' directions in the gated-in layers; elsewhere the base."""
    entries = _entries("sae_scalpel", group, weight)
    # With the layers decided, a diagnosis without a rule only ranks the features.
    gate = _gate(layers, diagnosis, select, _stamp(diagnosis))
    if decoder_layer(entries.name) not in gate:
        return entries.base
    given = {
        "mode": mode,
        "rank": rank,
        "features": features,
        "diagnosis": diagnosis,
        "sae": sae,
        "sae_id": sae_id,
        "beta": beta,
        "gamma": gamma,
        "energy_match": energy_match,
        "seed": seed,
        "read_from": read_from,
        "residual_axes": residual_axes,
    }
    not_given = ("", None)
    parameters = validated_parameters(
        "sae_scalpel", {name: value for name, value in given.items() if value not in not_given}
    )
    assert isinstance(parameters, ScalpelParameters)
    scalpel = _scalpel(parameters, gate, _stamp(diagnosis))
    return inject(entries.name, entries.base, entries.donors, entries.alphas, change=scalpel.filter)


class _Entries(NamedTuple):
    """One tensor of all models."""

    name: str
    base: torch.Tensor
    donors: list[torch.Tensor]
    alphas: list[float]


def _entries(method: str, group: TensorGroup, weight: Any) -> _Entries:
    assert group.base is not None  # the contract of both methods
    if group.metadata.name is None:
        raise MergeError(f"{method} needs tensor names to know each tensor's layer; none was given")
    donors = group.non_base
    return _Entries(
        group.metadata.name,
        group.base.tensor,
        [donor.tensor for donor in donors],
        weight.values_for(donors),
    )


# A merge asks once a tensor; the files behind an answer are read again only when they changed.


@lru_cache(maxsize=4)
def _scalpel(parameters: ScalpelParameters, layers: frozenset[int], stamp: int) -> Scalpel:
    return Scalpel(parameters, sorted(layers))


@lru_cache(maxsize=64)
def _gate(layers: str, diagnosis: str, select: str, stamp: int) -> frozenset[int]:
    gate = Gate(layers=layers or None, diagnosis=diagnosis or None, select=select or None)
    return frozenset(selected_layers(gate))


def _stamp(diagnosis: str) -> int:
    path = diagnosis_path(Path(diagnosis)) if diagnosis else None
    return path.stat().st_mtime_ns if path and path.exists() else 0


METHODS = (sae_stethoscope, sae_scalpel)
