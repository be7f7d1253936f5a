"""Values of a task vector that stand for all of it: what rounding would leave of an arm, before it is merged.

Of each tensor a few runs of values are kept beside the base's. An arm's weights are then tried on them as a
merge would store them: its energies are those of the whole tensors, times what is kept of the samples.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from sae_merge_method.geometry.energy import energy
from sae_merge_method.geometry.realised import NOTHING, EditSums, added_up
from sae_merge_method.models.dtypes import Floats
from sae_merge_method.models.stored_edit import stored_edit
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.precision import Precision

RUNS, RUN = 8, 4096
SAMPLED = RUNS * RUN
"""Most values of a tensor that are kept; a smaller one is kept whole."""


class TensorSample(NamedTuple):
    """Some values of one tensor."""

    layer: int
    name: str
    dtype: str
    """In which the base stores it, by safetensors' name."""
    firsts: tuple[int, ...]
    """Number of the first value of each run, within the tensor."""
    base: tuple[Floats, ...]
    """The base's values, run by run."""
    tau: tuple[Floats, ...]
    """What would be added at weight 1."""
    energy: float
    """Squared norm of tau over the whole tensor."""
    values: int
    """How many values the whole tensor has."""

    @classmethod
    def of(cls, pair: TensorPair, tau: Floats, dtype: str) -> "TensorSample":
        """Of a tensor and of what would be added there at weight 1."""
        flat, added = pair.base.reshape(-1), tau.reshape(-1)
        spans = list(_runs(flat.size))
        return cls(
            pair.layer,
            pair.name,
            dtype,
            tuple(first for first, _ in spans),
            tuple(flat[first : first + count].copy() for first, count in spans),
            tuple(added[first : first + count].copy() for first, count in spans),
            energy(tau),
            flat.size,
        )

    def sums(self, alpha: float, precision: Precision) -> EditSums:
        """What would be stored of the tensor at a weight."""
        intended = alpha**2 * self.energy
        if not alpha or not intended:
            return NOTHING._replace(values=self.values)
        dtype = precision.stored(self.dtype)
        sampled = added_up(
            stored_edit(base, tau * tau.dtype.type(alpha), dtype, precision.rounding, self.name, first)
            for first, base, tau in zip(self.firsts, self.base, self.tau, strict=True)
        )
        times = intended / sampled.intended if sampled.intended else 0.0
        return EditSums(
            intended,
            sampled.realised * times,
            sampled.along * times,
            round(sampled.changed * self.values / sampled.values),
            self.values,
        )


def sums_over(
    samples: Iterable[TensorSample], alpha: Callable[[str], float], precision: Precision
) -> EditSums:
    """What would be stored of several tensors.

    Args:
        samples: Of them.
        alpha: Weight by the tensor's name.
        precision: In which types edits are computed and written.
    """
    return added_up(sample.sums(alpha(sample.name), precision) for sample in samples)


def _runs(values: int) -> Iterator[tuple[int, int]]:
    """(first, count) of runs spread over a tensor."""
    if values <= SAMPLED:
        yield 0, values
        return
    for first in np.linspace(0, values - RUN, RUNS).astype(int):
        yield int(first), RUN
