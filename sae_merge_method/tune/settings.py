"""``tune.yml``: which models and texts, how much damage, and which kinds of edits to search."""

from typing import Annotated

from pydantic import Field, field_validator

from sae_merge_method.artifacts.recipe import RoundingKeys
from sae_merge_method.artifacts.schema import Location, Locations, OneOf
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.devices import AUTO, DeviceName
from sae_merge_method.selection import RuleText
from sae_merge_method.tune.families import FAMILIES


class TuneSettings(RoundingKeys):
    """What ``sae-merge tune`` searches, and on what: the keys of its file."""

    base: Location
    """Base model: folder, or Hub id with an optional @revision."""
    donor: Locations
    """Donor model, or several: folder, Hub id with an optional @revision, or model+adapter."""
    allow_mismatch: AllowedMismatch = ()
    target: Location
    """Problems that the edit is for, none of which a donor was trained on: JSON lines with prompt and
    completion, of which the completion counts, or text as diagnose takes it."""
    control: Locations
    """Text that shows damage, one corpus or several: none of it may be what the edit is for."""
    budget: float = Field(gt=0)
    """Damage that is allowed, in nats a token of control text; of several controls none may be harmed
    more."""
    families: Annotated[tuple[Annotated[str, OneOf(FAMILIES)], ...], Field(min_length=1)] = tuple(FAMILIES)
    """Kinds of edits to search, by name."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of layers that families with few layers take; without it a sixth, a third and half of them."""
    steps: int = Field(default=30, ge=1)
    """Steps of gradient for learned weights."""
    finalists: int = Field(default=6, ge=1)
    """Edits that are held against each other on the choice part."""
    diagnosis: Location | None = None
    """Diagnosis of the base whose pick stands beside the winner; without it, none does."""
    select: RuleText = "top_k=3"
    """Rule that takes the pick of that diagnosis."""
    text_field: str = "text"
    """Field or column that holds the text, where it is not prompt and completion."""
    group_field: str | None = None
    """Field or column that says which source a text is a part of: a source lies in one part whole."""
    apply_chat_template: bool = False
    """Put every prompt into a user's turn of the model's chat template; texts without answers are read as
    they are."""
    max_documents: int | None = Field(default=None, ge=6)
    """Texts to read of each corpus; without it, all."""
    max_length: int = Field(default=512, ge=8)
    """Longest text in tokens; the end of control text and the beginning of prompts is cut off."""
    tokens_per_batch: int = Field(default=2048, ge=1)
    """Tokens that go through the model together, padding included."""
    tokens_per_step: int = Field(default=2048, ge=1)
    """Tokens of problems, and as many of control text, that a step of gradient is told from."""
    dtype: str = "float32"
    """What the model computes in; what it holds is rounded as it will be written, whatever this is."""
    device: DeviceName = AUTO
    """Torch device, or auto for the best there is."""
    hold: bool = True
    """Keep base and task vectors in memory beside the model; without it they are read again for every
    edit."""

    @field_validator("donor")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("expected a donor, or several, each once")
        return value
