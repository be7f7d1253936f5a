"""What a user of ``sae-merge controls`` can set."""

from typing import Annotated

from pydantic import Field

from sae_merge_method.artifacts.schema import Location, OneOf, Record
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.models.constants import AllowedMismatch

RANDOM_LAYERS = 20
"""Random sets of layers that an experiment has unless told: the fewest among which the best of all, the pick
included, has a rank that chance gives less than one time in twenty."""


class ControlSettings(Record):
    """Which controls of a recipe, and from what: the options of ``sae-merge controls``."""

    diagnosis: Location | None = None
    """Diagnosis to rank layers and features by; without it, the one that the recipe names."""
    arms: tuple[Annotated[str, OneOf(ARMS)], ...] = ()
    """Arms to write, by name, as listed below; without it, all that no other option asks for."""
    random_layers: int = Field(default=RANDOM_LAYERS, ge=0)
    """Sets of as many other layers to draw at random: first those in as many runs at about the same depth."""
    rank: int | None = Field(default=None, ge=1)
    """Features a layer of the scalpel arms; without it, d_model/40: 64 at 2560."""
    single_layers: bool = False
    """Also an arm for each layer alone."""
    allow_mismatch: AllowedMismatch = ()
