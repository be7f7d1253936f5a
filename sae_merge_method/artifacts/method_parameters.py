"""The parameters of our merge methods beside gate and weight, as a recipe may write them.

One schema for both doors: ``sae-merge merge`` reads recipes with it before anything is written,
and the mergekit kernels validate what mergekit hands them. All values are single scalars:
mergekit reads a YAML list as a gradient over layers.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, model_validator

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.strict_yaml import as_number

Scalar = str | int | float | bool
Mode = Literal["project", "reject", "random", "hybrid"]


def _one_scalar(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        raise ValueError("expected one value: mergekit reads a YAML list as a gradient over the layers")
    return value


def _number(value: Any) -> Any:
    value = as_number(value)
    if isinstance(value, (bool, str)):
        raise ValueError("expected a number")
    return _one_scalar(value)


def _text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise ValueError("expected one quoted string")


Text = Annotated[str | None, BeforeValidator(_text)]
Number = Annotated[float, BeforeValidator(_number)]
Count = Annotated[StrictInt, BeforeValidator(_one_scalar)]


class StethoscopeParameters(Record):
    """``sae_stethoscope``: the raw task vector."""

    energy: Annotated[Number, Field(ge=0)] = 1.0
    """Share of the task vector's energy to inject: tau is scaled by its square root."""


class ScalpelParameters(Record):
    """``sae_scalpel``: the task vector, filtered by a subspace of the residual stream."""

    mode: Annotated[Mode, BeforeValidator(_one_scalar)] = "project"
    """What stays of tau: its part in the features' span (project), the rest (reject), its part in
    a random subspace of equal rank (random), or a share of both parts (hybrid)."""
    rank: Annotated[Count, Field(ge=1)] | None = None
    """How many features span the subspace: the most selective of each layer."""
    features: Text = None
    """Which features span the subspace: "3, 17, 100-110" for one selected layer, "9: 3, 17; 11: 4" for
    several."""
    diagnosis: Text = None
    """Diagnosis whose usage ranks the features, and which names the SAEs unless ``sae`` does."""
    sae: Text = None
    """The SAEs: a folder template such as saes/layer_{layer}, or a SAELens release."""
    sae_id: Text = None
    """Id of a layer's SAE within ``sae``."""
    beta: Number = 1.0
    """Share of the part inside the span, for hybrid."""
    gamma: Number = 1.0
    """Share of the part outside the span, for hybrid."""
    energy_match: Annotated[StrictBool, BeforeValidator(_one_scalar)] = False
    """Rescale each tensor's filtered tau to the energy of the raw one."""
    seed: Annotated[Count, Field(ge=0)] = 0
    """Seed of the random subspaces; each layer draws its own."""
    read_from: Annotated[Literal["own", "previous"], BeforeValidator(_one_scalar)] = "own"
    """Whose SAE filters the tensors that read the residual stream: the layer's own, or that of
    the layer before, whose output they read."""
    residual_axes: Text = None
    """Axes of tensors that the built-in table lacks, such as
    "mlp.experts.*.down_proj.weight=write:0, linear_attn.*=none"."""

    @model_validator(mode="after")
    def _consistent(self) -> "ScalpelParameters":
        if (self.rank is None) == (self.features is None):
            raise ValueError("expected exactly one of rank (how many features) and features (which)")
        if self.rank is not None and self.diagnosis is None:
            raise ValueError(f"rank: {self.rank} needs diagnosis: the feature usage to rank by")
        if self.diagnosis is None and self.sae is None:
            raise ValueError("expected sae: or diagnosis: to say where the SAEs are")
        if self.sae_id is not None and self.sae is None:
            raise ValueError(f"sae_id: {self.sae_id!r} needs sae: the release or folder it belongs to")
        if self.mode != "hybrid" and (self.beta, self.gamma) != (1.0, 1.0):
            raise ValueError(f"beta and gamma belong to mode: hybrid, and this is mode: {self.mode}")
        return self
