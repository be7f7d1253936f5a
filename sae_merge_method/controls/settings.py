"""What a user of ``sae-merge controls`` can set."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sae_merge_method.artifacts.schema import Location, OneOf, Record
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.models.constants import AllowedMismatch


def _once_each(weights: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(weights)) < len(weights):
        raise ValueError("expected each weight once")
    return tuple(sorted(weights))


RANDOM_LAYERS = 20
"""Random sets of layers that an experiment has unless told: the fewest among which the best of all, the pick
included, has a rank that chance gives less than one time in twenty."""

Damping = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    AfterValidator(_once_each),
    Field(
        description="Weights of the task vector, all above 0, at which all layers are injected, and all but "
        "the last: the damping curve, which any choice of layers has to beat at its damage."
    ),
]
AllButTheLast = Annotated[
    int,
    Field(
        ge=0,
        description="How many of the last layers an arm at each weight of damping leaves out; 0 for no "
        "such arms.",
    ),
]
EveryNth = Annotated[
    int, Field(ge=0, description="An arm with one layer of so many, such as every third; 0 for no such arm.")
]
Windows = Annotated[
    int, Field(ge=0, description="Blocks into which the model's depth is cut, an arm each; 0 for none.")
]
RandomSpread = Annotated[
    int, Field(ge=0, description="Sets of as many other layers to draw at random, none of them neighbours.")
]
DAMPING = (0.25, 0.5, 0.75)
"""With the base and all layers at weight 1, five points of the curve."""
SPREAD = 5


class ControlSettings(Record):
    """Which controls of a recipe, and from what: the options of ``sae-merge controls``."""

    diagnosis: Location | None = None
    """Diagnosis to rank layers and features by; without it, features are ranked by the one that the recipe
    names, layers by the scores that it keeps. Layers that were chosen by a score that knows the donor are
    always ranked by that one."""
    arms: tuple[Annotated[str, OneOf(ARMS)], ...] = ()
    """Arms to write, by name, as listed below; without it, all that no other option asks for."""
    random_layers: int = Field(default=RANDOM_LAYERS, ge=0)
    """Sets of as many other layers to draw at random: first those in as many runs at about the same depth."""
    random_spread: RandomSpread = SPREAD
    damping: Damping = DAMPING
    all_but_the_last: AllButTheLast = 1
    every_nth: EveryNth = 3
    windows: Windows = 3
    rank: int | None = Field(default=None, ge=1)
    """Features a layer of the scalpel arms; without it, d_model/40: 64 at 2560."""
    single_layers: bool = False
    """Also an arm for each layer alone."""
    allow_mismatch: AllowedMismatch = ()


_NUMBERS = ("random_layers", "random_spread", "damping", "all_but_the_last", "every_nth", "windows")


def numbers_of(settings: Record, n_layers: int) -> dict[str, Any]:
    """How many arms of each kind that is counted, by key: an experiment has these keys as well.

    Args:
        settings: Of controls, or of an experiment.
        n_layers: The model's; no arm leaves out all of them.
    """
    numbers = {name: getattr(settings, name) for name in _NUMBERS}
    return numbers | {"all_but_the_last": min(numbers["all_but_the_last"], n_layers - 1)}
