"""What a recipe's ``dtype``, ``out_dtype`` and ``rounding`` mean: how an edit is computed and written.

The meaning is mergekit's. Inputs are cast to ``dtype`` where that can hold the base, the arithmetic is done
in float32 (in float64 where an input is that), and the result is rounded once: to ``out_dtype``, else to
``dtype``, else to the base's own type. So where the output is wider than the base nothing is rounded to the
base's type on the way. One difference is on purpose: where neither ``dtype`` nor the output is wider than
the base, a donor that is stored wider is taken as it is, and not rounded to ``dtype`` first.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.recipe import Recipe, RoundingKeys
from sae_merge_method.models.dtypes import DTYPE_NAMES, Precise, holds, precise_for
from sae_merge_method.models.rounding import NEAREST, Rounding

_STORED = {name: kind for kind, name in DTYPE_NAMES.items()}


@dataclass(frozen=True)
class Precision:
    """In which types one recipe's edits are computed and written."""

    loaded: str | None = None
    """dtype to which all inputs are cast first, by recipes' names; None for no cast."""
    written: str | None = None
    """dtype of all written tensors; None keeps each tensor's own."""
    rounding: Rounding = NEAREST
    """How the result is rounded to the written dtype."""

    @property
    def through(self) -> str | None:
        """What donors are rounded to before anything is computed, by safetensors' name; None for nothing that
        reading them in the precision of the arithmetic does not do."""
        return _STORED[self.loaded] if self.loaded in ("bfloat16", "float16") else None

    def stored(self, base: str) -> str:
        """dtype in which an edited tensor is written, from the base's; both by safetensors' names."""
        return _STORED[self.written] if self.written else base

    def precise(self, base: str, donors: Iterable[str]) -> Precise:
        """In which precision a tensor is computed, from the stored dtypes of its inputs."""
        return precise_for(*([_STORED[self.loaded]] if self.loaded else [base, *donors]))


def precision_of(recipe: Recipe, base: Collection[str], written: str | None) -> Precision:
    """In which types a recipe's edits are computed and written.

    Args:
        recipe: The recipe.
        base: All floating-point dtypes among the base's tensors, by recipes' names.
        written: dtype of the written tensors; None keeps each tensor's own.
    """
    dtype, kinds = recipe.dtype, set(base)
    wider = written is not None and kinds != {written} and holds(written, kinds)
    cast = dtype is not None and holds(dtype, kinds) and (wider or kinds != {dtype})
    return Precision(dtype if cast else None, written, rounding_of(recipe.parameters))


def rounding_of(keys: RoundingKeys) -> Rounding:
    """How a recipe rounds."""
    return Rounding(keys.rounding, keys.rounding_seed)


def written_rounding(rounding: Rounding) -> dict[str, Scalar]:
    """A recipe's keys that say so; none where the defaults do."""
    keys: dict[str, Scalar] = {"rounding": rounding.kind, "rounding_seed": rounding.seed}
    return {key: value for key, value in keys.items() if value != RoundingKeys.model_fields[key].default}


AS_STORED = Precision()
"""Every tensor keeps its dtype, and is rounded to nearest."""
