"""What a recipe's ``dtype``, ``out_dtype`` and ``rounding`` mean: how an edit is computed and written.

The meaning is mergekit's. Inputs are cast to ``dtype`` where that can hold the base, the arithmetic is done
in float32 (in float64 where an input is that), and the result is rounded once: to ``out_dtype``, else to
``dtype``, else to the base's own type. So where the output is wider than the base nothing is rounded to the
base's type on the way. One difference is on purpose: where neither ``dtype`` nor the output is wider than
the base, a donor that is stored wider is taken as it is, and not rounded to ``dtype`` first.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sae_merge_method.artifacts.edit_report import EditReport
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

    def kept_as(self, base: Collection[str]) -> str | None:
        """What becomes of tensors that are not edited, in words; None where they keep the base's bytes.

        Args:
            base: Their floating-point dtypes in the base, by recipes' names.
        """
        for dtype in (self.loaded, self.written):
            if dtype is not None and not holds(dtype, base):
                return f"the base's values, rounded to {dtype}"
        changes = self.written is not None and not set(base) <= {self.written}
        return f"the base's values, widened to {self.written}" if changes else None

    def rounds(self, base: Collection[str]) -> str:
        """How the result of the arithmetic is written, in words; ``base`` as for :meth:`kept_as`."""
        if _is_wider(self.written, base):
            return f"written in {self.written}, rounded to no narrower type on the way"
        return "rounded once" + (f", {self.rounding}" if self.rounding.unbiased else "")


def precision_of(recipe: Recipe, base: Collection[str], written: str | None) -> Precision:
    """In which types a recipe's edits are computed and written.

    Args:
        recipe: The recipe.
        base: All floating-point dtypes among the base's tensors, by recipes' names.
        written: dtype of the written tensors; None keeps each tensor's own.
    """
    dtype, kinds = recipe.dtype, set(base)
    cast = dtype is not None and holds(dtype, kinds) and (_is_wider(written, kinds) or kinds != {dtype})
    return Precision(dtype if cast else None, written, rounding_of(recipe.parameters))


def rounded_by_mergekit(recipe: Recipe, base: Collection[str], inputs: Iterable[str]) -> tuple[str, ...]:
    """Types of inputs that plain mergekit-yaml rounds to ``dtype`` before the edit, and we do not.

    Args:
        recipe: The recipe.
        base: All floating-point dtypes among the base's tensors, by recipes' names.
        inputs: Those of the tensors of which edits are computed.
    """
    dtype = recipe.dtype
    if dtype is None or dtype == precision_of(recipe, base, recipe.target_dtype).loaded:
        return ()
    return tuple(sorted({kind for kind in inputs if not holds(dtype, [kind])}))


def _is_wider(written: str | None, base: Collection[str]) -> bool:
    return written is not None and set(base) != {written} and holds(written, base)


class Told(NamedTuple):
    """What is told of the types of a merge, in words."""

    kept: str
    """What the tensors are that were not edited."""
    rounds: str
    """How the edited ones were written."""


def told_by(report: EditReport | None, dtype: str | None = None) -> Told:
    """What a merge made of the base's types.

    Args:
        report: Its report; None where it has none. An older one does not know the base's types.
        dtype: What its recipe has written, where the report does not tell; None for the base's own types, or
            for what is not known.
    """
    if report is None or report.base_dtypes is None:
        written = None if dtype is None else f"written in {dtype}"
        return Told(f"the base's, {written}" if written else "the base's", written or "rounded once")
    base = {DTYPE_NAMES[kind] for kind in report.base_dtypes if kind in DTYPE_NAMES}
    stored = {DTYPE_NAMES[tensor.dtype] for tensor in report.tensors if tensor.dtype in DTYPE_NAMES}
    # One dtype is written throughout, or each tensor keeps its own.
    precision = Precision(written=None if stored == base else min(stored, default=None))
    rounds = with_adapters(precision.rounds(base), report.request.lora_merge_dtype)
    return Told(precision.kept_as(base) or "the base's, byte for byte", rounds)


def with_adapters(rounds: str, dtype: str | None) -> str:
    """How a result is written, in words, where it is of adapters that may have been rounded before.

    Args:
        rounds: How it is written otherwise, of :meth:`Precision.rounds`.
        dtype: What adapters were rounded to as they were merged; None for the default.
    """
    if dtype not in ("bfloat16", "float16"):
        return rounds
    return f"of adapters that were rounded to {dtype} as they were merged, then rounded again"


def rounding_of(keys: RoundingKeys) -> Rounding:
    """How a recipe rounds."""
    return Rounding(keys.rounding, keys.rounding_seed)


def written_rounding(rounding: Rounding) -> dict[str, Scalar]:
    """A recipe's keys that say so; none where the defaults do."""
    keys: dict[str, Scalar] = {"rounding": rounding.kind, "rounding_seed": rounding.seed}
    return {key: value for key, value in keys.items() if value != RoundingKeys.model_fields[key].default}


AS_STORED = Precision()
"""Every tensor keeps its dtype, and is rounded to nearest."""
