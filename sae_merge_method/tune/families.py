"""The table of families: kinds of edits, each a few shapes whose size the damage decides.

A shape is a weight for every layer up to a common factor. How large it is made is ``scaling``'s affair, what
comes of it ``search``'s.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sae_merge_method.layers import format_layers
from sae_merge_method.spacing import NO_NEIGHBOURS, Apart, adjacency, highest_apart
from sae_merge_method.tune.attribution import Attribution
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.edit import Edit, Shape
from sae_merge_method.tune.learned import learn


class Known(NamedTuple):
    """What a family can draw on."""

    bench: Bench
    start: Edit
    """All layers of all donors at the weight that does the damage allowed."""
    attribution: Attribution
    allowed: float
    """Damage, in nats a token."""
    sizes: tuple[int, ...]
    """Numbers of layers to take."""
    steps: int
    """Of gradient."""


EVERY_LAYER = "all layers"
"""Name of the shape of the damping curve."""


class NamedShape(NamedTuple):
    """A shape and what it is called."""

    name: str
    shape: Shape
    """(donors, layers)"""
    guess: float | None = None
    """Factor that may do the damage allowed, where something is known of it."""


class Family(NamedTuple):
    """One row."""

    name: str
    description: str
    """What its edits are, for help texts."""
    shapes: Callable[[Known], Iterable[NamedShape]]
    """Its shapes; none where it has none for this model."""
    is_measured: bool = False
    """Whether its shapes are themselves come by by measuring."""


def on_layers(n_donors: int, n_layers: int, layers: Iterable[int]) -> Shape:
    """The same weight for all donors in some layers."""
    shape = np.zeros((n_donors, n_layers))
    shape[:, sorted(layers)] = 1.0
    return shape


def all_but(n_layers: int, left_out: Sequence[int]) -> list[int]:
    """The other layers."""
    return [layer for layer in range(n_layers) if layer not in left_out]


def sizes_of(n_layers: int) -> tuple[int, ...]:
    """A sixth, a third and half of the layers."""
    return tuple(sorted({max(1, round(n_layers / part)) for part in (6, 3, 2)}))


def _damped(known: Known) -> Iterable[NamedShape]:
    donors, layers = known.bench.n_donors, known.bench.n_layers
    yield NamedShape(EVERY_LAYER, on_layers(donors, layers, range(layers)))
    if donors > 1:
        for donor in range(donors):
            shape = np.zeros((donors, layers))
            shape[donor] = 1.0
            yield NamedShape(f"all layers of donor {donor + 1}", shape)


def _all_but_costly(known: Known) -> Iterable[NamedShape]:
    costly, layers = known.attribution.costly, known.bench.n_layers
    if costly:
        shape = on_layers(known.bench.n_donors, layers, all_but(layers, costly))
        yield NamedShape(f"all but layers {format_layers(costly)}", shape)


def _top(known: Known, gap: int) -> Iterable[NamedShape]:
    layers = known.bench.n_layers
    # so many layers so far apart are the first of every gap
    fitting = [size for size in known.sizes if (size - 1) * gap < layers]
    for size in fitting:
        chosen = highest_apart(known.attribution.score, Apart(size, gap), f"sizes {size}")
        name = f"layers {format_layers(chosen)} ({adjacency(chosen)})"
        yield NamedShape(name, on_layers(known.bench.n_donors, layers, chosen))


def _learned(known: Known) -> Iterable[NamedShape]:
    shape = learn(known.bench, known.start, known.allowed, known.steps)
    if shape.any():
        yield NamedShape(f"{known.steps} steps", shape, guess=1.0)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("damped", "all layers at one weight: the damping curve", _damped),
        Family(
            "all-but-costly", "all but the layers whose damage stands out, at one weight", _all_but_costly
        ),
        Family(
            "top-k",
            "the layers with the highest scores, at one weight: share of the gain less share of the damage",
            lambda known: _top(known, 1),
        ),
        Family("spread", "the same of which no two are neighbours", lambda known: _top(known, NO_NEIGHBOURS)),
        Family(
            "learned",
            "one learned weight for every layer, by a few dozen steps of gradient",
            _learned,
            is_measured=True,
        ),
    )
}
"""All families by name, in the order in which they are searched."""
