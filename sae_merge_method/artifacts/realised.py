"""What an edit was to add and what is stored of it: figures that every artifact of an edit gives alike."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.geometry.realised import EditSums, added_up, is_swallowed
from sae_merge_method.layers import Unit
from sae_merge_method.models.rounding import ROUNDINGS
from sae_merge_method.reports import numbers


class Realised(Record):
    """The figures of a tensor, of a layer or of a whole edit."""

    intended_energy: float = Field(ge=0)
    """Squared Frobenius norm of what was to be added, before rounding to the stored dtype."""
    energy: float = Field(ge=0)
    """Squared Frobenius norm of (written - base), rounding to the stored dtype included: what is realised.
    Stochastic rounding adds its noise to it."""
    component: float | None
    """Component of (written - base) along what was to be added, over the norm of that: 1 where all of the
    edit is there, less where rounding swallows it; null where nothing was to be added."""
    cosine: float | None
    """Cosine of (written - base) with what was to be added; null where either is nothing."""
    changed: float = Field(ge=0, le=1)
    """Share of the edited tensors' values that differ from the base's."""

    @property
    def share(self) -> float | None:
        """Realised over intended energy; None where nothing was to be added."""
        return self.energy / self.intended_energy if self.intended_energy else None

    @staticmethod
    def figures(sums: EditSums) -> dict[str, Any]:
        """The fields of this record, of some values."""
        return {
            "intended_energy": sums.intended,
            "energy": sums.realised,
            "component": sums.component,
            "cosine": sums.cosine,
            "changed": sums.changed / sums.values if sums.values else 0.0,
        }

    def sums_of(self, values: int) -> EditSums:
        """The sums behind the figures, to be added up.

        Args:
            values: How many values the figures are of.
        """
        along = (self.component or 0.0) * self.intended_energy
        return EditSums(self.intended_energy, self.energy, along, round(self.changed * values), values)


class LayerEdit(Realised):
    """One layer that is edited, or one part of a layer."""

    layer: UnitField
    """Number of the text decoder layer; of a part of one, text such as "11.attn"."""
    tensors: int = Field(ge=0)
    """How many of its tensors are edited."""
    nbytes: int = Field(ge=0)
    """How many bytes these tensors have, as they are written."""


def layer_edit(layer: Unit, tensors: Iterable[tuple[EditSums, int]]) -> LayerEdit:
    """One layer, or part of one, from the sums and the bytes of each of its edited tensors."""
    parts = list(tensors)
    total = added_up(sums for sums, _ in parts)
    nbytes = sum(size for _, size in parts)
    return LayerEdit(**Realised.figures(total), layer=layer, tensors=len(parts), nbytes=nbytes)


def swallowed_note(edit: Realised, kind: str) -> str | None:
    """What to say of an edit that rounding leaves too little of; None where it leaves enough.

    Args:
        edit: The whole edit.
        kind: How it is rounded, one of :data:`~sae_merge_method.models.rounding.ROUNDINGS`.
    """
    unbiased = ROUNDINGS[kind].unbiased
    if not is_swallowed(edit.share, edit.cosine, edit.component, unbiased=unbiased):
        return None
    cosine = numbers.decimal(edit.cosine, 2) or "none"
    left = (
        f"rounding to the stored dtype ({kind}) leaves of the edit {edit.share:.0%} of its energy, "
        f"cosine {cosine}, {edit.changed:.0%} of the values changed"
    )
    better = [name for name, row in ROUNDINGS.items() if row.unbiased and name != kind]
    ways = [
        *(f"'rounding: {name}' keeps it on average" for name in better),
        "'dtype: float32' keeps it whole",
    ]
    return f"{left}; {', '.join(ways)}"


def swallowed_among(edits: Mapping[str, tuple[Realised, str]]) -> str | None:
    """What to say of those of several edits that rounding leaves too little of; None where there are none.

    Args:
        edits: By name, the whole edit and how it is rounded.
    """
    notes = {
        name: note for name, (edit, kind) in edits.items() if (note := swallowed_note(edit, kind)) is not None
    }
    if not notes:
        return None
    name, note = next(iter(notes.items()))
    others = f" Likewise {', '.join(list(notes)[1:])}." if len(notes) > 1 else ""
    return f"Of {name}, {note}.{others}"
