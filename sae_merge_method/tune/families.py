"""The table of families: kinds of edits, each a few shapes whose size the damage decides.

A shape is a weight for every layer, or every module, up to a common factor. How large it is made is
``scaling``'s affair, what comes of it ``search``'s.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sae_merge_method.layers import Unit, format_layers, layers_of, named_units
from sae_merge_method.models.parts import PARTS
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

    @property
    def all_modules(self) -> Shape:
        """(donors, layers, parts) the same weight for all donors in every module that there is."""
        return np.stack([self.bench.modules.astype(np.float64)] * self.bench.n_donors)


EVERY_LAYER = "all layers"
"""Name of the shape of the damping curve."""


class NamedShape(NamedTuple):
    """A shape and what it is called."""

    name: str
    shape: Shape
    guess: float | None = None
    """Factor that may do the damage allowed, where something is known of it."""


class Look(NamedTuple):
    """How the picture shows a family's edits."""

    colour: str
    """Of Okabe & Ito's; a family by module has that of its like by layer."""
    marker: str
    """matplotlib's; it alone tells the families apart, without any colour."""


class Family(NamedTuple):
    """One row."""

    name: str
    description: str
    """What its edits are, for help texts."""
    shapes: Callable[[Known], Iterable[NamedShape]]
    """Its shapes; none where it has none for this model."""
    n_shapes: Callable[[int, int], int]
    """From the numbers of donors and of sizes to how many shapes there may be: what a search will cost."""
    look: Look
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
    yield NamedShape(EVERY_LAYER, known.bench.every_layer)
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
    layers, score = known.bench.n_layers, known.attribution.layers.score
    # so many layers so far apart are the first of every gap
    fitting = [size for size in known.sizes if (size - 1) * gap < layers]
    for size in fitting:
        chosen = highest_apart(score, Apart(size, gap), f"sizes {size}")
        yield NamedShape(_named(chosen), on_layers(known.bench.n_donors, layers, layers_of(chosen)))


def _named(chosen: Collection[Unit]) -> str:
    return f"{named_units(chosen)} ({adjacency(chosen)})"


def _learned(known: Known, start: Edit) -> Iterable[NamedShape]:
    shape = learn(known.bench, start, known.allowed, known.steps)
    if shape.any():
        yield NamedShape(f"{known.steps} steps", shape, guess=1.0)


def _damped_modules(known: Known) -> Iterable[NamedShape]:
    for number, part in enumerate(PARTS.values()):
        shape = np.zeros_like(known.all_modules)
        shape[..., number] = known.all_modules[..., number]
        if shape.any():
            yield NamedShape(f"{part.title} of all layers", shape)


def _top_modules(known: Known) -> Iterable[NamedShape]:
    there, score = known.bench.modules, known.attribution.modules.score
    ranked = sorted(
        (unit for unit, is_there in zip(score, there.flat, strict=True) if is_there),
        key=lambda unit: -score[unit],
    )
    for size in known.sizes if ranked else ():
        chosen = ranked[: len(PARTS) * size]
        taken = np.reshape([unit in chosen for unit in score], there.shape)
        yield NamedShape(_named(chosen), taken * known.all_modules)


def _learned_modules(known: Known) -> Iterable[NamedShape]:
    start = Edit.of(known.start.array[..., None] * known.all_modules)
    return _learned(known, start) if start.layers else ()


def _one(_donors: int, _sizes: int) -> int:
    return 1


def _one_a_size(_donors: int, sizes: int) -> int:
    return sizes


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "damped",
            "all layers at one weight: the damping curve",
            _damped,
            lambda donors, _: donors if donors == 1 else 1 + donors,
            Look("#009E73", "^"),
        ),
        Family(
            "all-but-costly",
            "all but the layers whose damage stands out, at one weight",
            _all_but_costly,
            _one,
            Look("#0072B2", "D"),
        ),
        Family(
            "top-k",
            "the layers with the highest scores, at one weight: share of the gain less share of the damage",
            lambda known: _top(known, 1),
            _one_a_size,
            Look("#999999", "o"),
        ),
        Family(
            "spread",
            "the same of which no two are neighbours",
            lambda known: _top(known, NO_NEIGHBOURS),
            _one_a_size,
            Look("#CC79A7", "v"),
        ),
        Family(
            "learned",
            "one learned weight for every layer, by a few dozen steps of gradient",
            lambda known: _learned(known, known.start),
            _one,
            Look("#D55E00", "*"),
            is_measured=True,
        ),
        Family(
            "damped-modules",
            "the attention of all layers, or their MLPs, at one weight",
            _damped_modules,
            lambda *_: len(PARTS),
            Look("#009E73", "<"),
        ),
        Family(
            "top-k-modules",
            "the modules, attention or MLP of a layer, with the highest scores, at one weight",
            _top_modules,
            _one_a_size,
            Look("#999999", "h"),
        ),
        Family(
            "learned-modules",
            "one learned weight for the attention of every layer and one for its MLP",
            _learned_modules,
            _one,
            Look("#D55E00", "X"),
            is_measured=True,
        ),
    )
}
"""All families by name, in the order in which they are searched."""
