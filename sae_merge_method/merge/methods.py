"""mergekit merge methods: the decorated signature is the recipe's parameter schema.

Importing this module registers nothing; ``sae_merge_method.hosts`` does.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

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

from sae_merge_method.edit.gate import open_layers
from sae_merge_method.errors import MergeError
from sae_merge_method.merge.injection import inject
from sae_merge_method.tensor_names import decoder_layer

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
) -> torch.Tensor:
    """Raw task vectors in the gated-in layers; the base tensor itself everywhere else."""
    assert group.base is not None  # the contract above
    name = group.metadata.name
    if name is None:
        raise MergeError("sae_stethoscope needs tensor names to know each tensor's layer; none was given")
    if decoder_layer(name) not in _gate(layers, diagnosis, select, _stamp(diagnosis)):
        base: torch.Tensor = group.base.tensor
        return base
    donors = group.non_base
    alphas = weight.values_for(donors)
    return inject(name, group.base.tensor, [donor.tensor for donor in donors], alphas)


@lru_cache(maxsize=64)
def _gate(layers: str, diagnosis: str, select: str, stamp: int) -> frozenset[int]:
    # A merge asks once a tensor; the file behind the answer is read again only when it changed.
    return frozenset(open_layers(layers or None, diagnosis or None, select or None))


def _stamp(diagnosis: str) -> int:
    path = Path(diagnosis)
    return path.stat().st_mtime_ns if diagnosis and path.exists() else 0


METHODS = (sae_stethoscope,)
