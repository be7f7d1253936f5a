"""Which layers, and which modules, carry the gain and which the damage of all layers damped: the scores that
families choose by.

The path integral of the slopes from the base to all layers at one weight (Sundararajan, Taly & Yan 2017, for
weights in the place of inputs): what it gives to the layers sums to the whole change, unlike slopes at one
end.
"""

from functools import partial
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attribution import AttributedLayer, AttributedText
from sae_merge_method.artifacts.attribution import Attribution as Record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.layers import Unit
from sae_merge_method.models.parts import PARTS
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.edit import Edit, Shape, units_of

NODES = 3
"""Of Gauss-Legendre on the path."""
_MANY = 3
"""Groups of problems a point that are enough to tell it by."""
_OUTLYING = 5.0
"""How many robust standard deviations above the median a layer's damage stands out."""
_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, of normal numbers."""
_LARGE = 2.0
"""How many times an even share of all damage it is then, at least."""
_MOST_LEFT_OUT = 1 / 3
"""Of the layers."""

Floats = npt.NDArray[np.float64]


class Carried(NamedTuple):
    """What units carry, in nats a token."""

    gain: Floats
    """(layers,), or (layers, parts) of modules."""
    damage: Floats
    """Alike, mean over the controls."""

    @property
    def score(self) -> dict[Unit, float]:
        """Share of the gain less share of the damage: what a unit is worth where both count alike."""
        worth = self.gain / _total(self.gain) - self.damage / _total(self.damage)
        return dict(zip(units_of(*worth.shape), worth.ravel().tolist(), strict=True))


class Attribution(NamedTuple):
    """Of all layers at one weight, on the search part."""

    layers: Carried
    """What each carries, norms and all."""
    modules: Carried
    """What the attention and the MLP of each carry of that."""

    @property
    def costly(self) -> tuple[int, ...]:
        """Layers whose damage stands out, ascending; a third of all at most."""
        damage = self.layers.damage
        middle = median(damage)
        spread = _TO_SD * median(abs(damage - middle))
        limit = max(middle + _OUTLYING * spread, _LARGE * _total(damage) / len(damage))
        order = sorted(range(len(damage)), key=lambda layer: -damage[layer])
        outlying = [layer for layer in order if damage[layer] > limit]
        return tuple(sorted(outlying[: max(1, int(len(order) * _MOST_LEFT_OUT))]))


def attribute(bench: Bench, end: Edit) -> Attribution:
    """Follow the slopes from the base to an edit.

    Args:
        bench: To measure on.
        end: The edit, by layer.
    """
    nodes, shares = np.polynomial.legendre.leggauss(NODES)
    points = [Edit.of(at * end.array) for at in (nodes + 1) / 2]
    bench.ahead(
        [
            partial(bench.slopes, point, turn)
            for nth, point in enumerate(points)
            for turn in _turns(bench.n_groups, nth)
        ]
    )
    carried = []
    for by_module in (False, True):
        moved = end.array[..., None] if by_module else end.array
        gain, damage = np.zeros(()), np.zeros(())
        for nth, (point, share) in enumerate(zip(points, shares / 2, strict=True)):
            turns = _turns(bench.n_groups, nth)
            for turn in turns:
                slopes = bench.slopes(point, turn, by_module=by_module)
                gain = gain - share / len(turns) * _over_donors(slopes.by_target * moved)
                damage = damage + share / len(turns) * _over_donors(slopes.by_control * moved)
        carried.append(Carried(gain, damage))
    return Attribution(*carried)


def of_record(record: Record, at: str, n_layers: int) -> Attribution:
    """What ``sae-merge attribute`` told of the donor, in the place of slopes of our own.

    Along the path to the whole donor where that was followed, else at the base; on the texts that it was told
    of, which may be others.

    Args:
        record: Of the one donor.
        at: Its place, for messages.
        n_layers: Decoder layers of the base.

    Raises:
        ArtifactError: It leaves layers out.
    """

    def ordered(text: AttributedText) -> list[AttributedLayer]:
        known = {one.layer: one for one in text.layers}
        if sorted(known) != list(range(n_layers)):
            raise ArtifactError(f"{at} is of {len(known)} of the {n_layers} layers; expected all of them")
        return [known[layer] for layer in range(n_layers)]

    texts = [ordered(text) for text in record.texts]
    return Attribution(
        _carried([[(one.path or one.first_order).gain for one in text] for text in texts]),
        _carried([[[one.kinds.get(p.title, 0.0) for p in PARTS.values()] for one in text] for text in texts]),
    )


def _carried(gains: "npt.ArrayLike") -> Carried:
    """Of the gains on the target, then on every control."""
    target, *controls = np.asarray(gains, dtype=np.float64)
    return Carried(target, -np.mean(controls, axis=0))


def slopes_needed(n_groups: int) -> int:
    """How many slopes that takes."""
    return sum(len(_turns(n_groups, nth)) for nth in range(NODES))


def _turns(n_groups: int, nth: int) -> range:
    """The groups of problems that a point on the path is told by: where there are many, its own share."""
    return range(nth, n_groups, NODES) if n_groups >= _MANY * NODES else range(n_groups)


def _over_donors(values: Shape) -> Floats:
    summed: Floats = values.sum(0)
    return summed


def _total(values: Floats) -> float:
    """Of what counts for it; never 0."""
    return max(float(np.maximum(values, 0).sum()), 1e-12)
