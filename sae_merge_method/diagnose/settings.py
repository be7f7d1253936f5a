"""Everything a user of the stethoscope can set: options of its commands, keys of a file to share.

Each field is declared here and nowhere else; what of it a diagnosis records is decided here, too.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sae_merge_method.artifacts.schema import Location, Locations, OneOf, Record, flat
from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.corpora.twins import TWINS
from sae_merge_method.diagnose.specificity import EPSILON, SCORES
from sae_merge_method.models.devices import AUTO, DeviceName, MemoryAmount
from sae_merge_method.saes.dictionaries import DICTIONARIES
from sae_merge_method.selection import ANY_RULE


class EncodingSettings(Record):
    """Which model reads which texts, and how its activations are encoded."""

    model: Location
    """Base model: a folder, or a Hub id with an optional @revision."""
    sae: Locations = Field(min_length=1)
    """SAEs: a folder template such as saes/layer_{layer}, or a SAELens release; may be given more than once,
    such as a release that listens to attention and one to MLPs, whose modules are then ranked together. Or
    random, for random unit directions of the size that --sae-id says (width_16k_l0_50); or none, for the
    residual stream's own coordinates."""
    sae_id: Locations = ()
    """Id of a layer's SAE within ``sae``, such as layer_{layer}_width_16k_l0_small: one for all, or one for
    each."""
    dictionaries: tuple[Annotated[str, OneOf(DICTIONARIES)], ...] = tuple(DICTIONARIES)
    """Dictionaries that nobody trained, to encode with beside each SAE: what they tell too is not owed to the
    SAE. Empty for none, in about half the time."""
    target: Location
    """Text of the ability to edit: JSON lines, parquet or a document a line, gzip too; or a Hub data set,
    name[:config[:split]]."""
    control: Locations = Field(min_length=1)
    """Text to compare with, as for the target; may be given more than once, such as general prose, code,
    tables of numbers: a layer's score is the least over them."""
    layers: str = "all"
    """Layers to diagnose, such as "9, 11-13"; with SAEs that listen to attention or MLP, parts of layers too,
    such as "9-11.attn"."""
    text_field: str = "text"
    """Field or column that holds the text; of several, such as content,text, the first that a corpus has."""
    group_field: str | None = None
    """Field or column that says which source a document is a part of, such as url: shuffles and resamples
    then take a source's documents together. Each document is its own source unless given."""
    match: bool = True
    """Crop all sides to as many sources, documents and tokens a document as the smallest has at each
    quantile; what differs in length or number scores as if it differed in content."""
    mask: tuple[Annotated[str, OneOf(TOKEN_CLASSES)], ...] = ()
    """Classes of tokens to leave out of the counting, such as digits,newlines."""
    outlier_norm: float | Literal["none"] = OUTLIER_NORM
    """Tokens whose norm is more than so many times their layer's median are left out of the counting:
    attention sinks, a few of which rule every mean. Or none, to count them; without begin-of-text a
    document's first token never counts."""
    twins: tuple[Annotated[str, OneOf(TWINS)], ...] = tuple(TWINS)
    """Surface twins of the target to encode as well: what scores there too is vocabulary, not ability.
    Empty for none."""
    apply_chat_template: bool = False
    """Put every document into a user's turn; only its own text counts."""
    max_documents: int | None = Field(default=None, ge=1)
    """Documents to take of each corpus; all unless given."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Counted tokens to take of each corpus; all unless given."""
    max_length: int = Field(default=1024, ge=1)
    """Longest document in tokens; the rest of it is cut off."""
    batch_tokens: int = Field(default=2048, ge=1)
    """Tokens that go through the model together, with padding."""
    variance_tokens: int = Field(default=8192, ge=1)
    """About how many tokens to reconstruct for the explained variance."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "auto"
    """Precision of model and SAEs; auto is the checkpoint's, or float32 where this machine is clearly
    faster in it and has the memory."""
    device: DeviceName = AUTO
    """Torch device, such as cpu, cuda, cuda:1 or mps; auto is the first there is of cuda, mps and cpu."""
    device_map: Literal["auto"] | None = None
    """Spread the model over all devices there are, in place of ``device``."""
    memory: MemoryAmount = AUTO
    """Memory to use beside the model, such as 6G; auto is what is free. Less memory, more sweeps over the
    documents."""

    @property
    def bound(self) -> float | None:
        """Median norms that a token may have; None where outliers count."""
        return None if self.outlier_norm == "none" else self.outlier_norm

    @field_validator("sae_id", mode="before")
    @classmethod
    def _none_is_no_id(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator("outlier_norm", mode="before")
    @classmethod
    def _a_bound(cls, value: Any) -> Any:
        try:
            bound = value if value == "none" else float(value)
        except (TypeError, ValueError):
            bound = 0.0
        if bound != "none" and not 1 < bound < float("inf"):
            raise ValueError("expected a number above 1, or none")
        return bound


class ScoringSettings(Record):
    """How layers are scored from what their SAEs encoded. None of it needs the model."""

    score: Annotated[str, OneOf(SCORES)] = "kl_bits"
    """Specificity score of a layer."""
    permutations: int = Field(default=1000, ge=0)
    """Shuffles of the labels of sources for the null; 0 for none."""
    bootstrap: int = Field(default=1000, ge=0)
    """Resamples of sources for intervals and stability; 0 for none."""
    seed: int = Field(default=0, ge=0)
    """Seed of shuffles and resamples."""
    select: Annotated[str | None, ANY_RULE] = None
    """Selection rule whose layers are marked in the pictures."""


class DiagnoseSettings(ScoringSettings, EncodingSettings):
    """One run of ``sae-merge diagnose``: its options, and the keys of a ``--config`` file."""

    snippets: int = Field(default=1, ge=0)
    """Target snippets to keep of each of a layer's first features; 0 for none."""
    donor: Location | None = None
    """Donor whose gain and damage are attributed beside, as sae-merge attribute does it: folder, Hub
    id[@revision], or model+adapter."""

    def recorded(self, dtype: str, device: str) -> dict[str, str | int | float | bool | None]:
        """What the diagnosis keeps: all that can change a number and stands nowhere else in it.

        Args:
            dtype: The precision the model was really used in, in place of "auto".
            device: The kind of device it really ran on, in place of "auto" or of one among several.
        """
        elsewhere = {"model", "sae", "sae_id", "target", "control", "score"}
        change_no_number = {"memory", "select", "donor"}
        kept = self.model_dump(exclude=elsewhere | change_no_number)
        return {**flat(kept), "dtype": dtype, "device": device, "epsilon": EPSILON}

    def of_encoding(self, dtype: str, device: str) -> dict[str, str | int | None]:
        """What must be the same for an interrupted run to be resumed; arguments as in :meth:`recorded`."""
        # More layers, or more memory, encode the others no differently.
        kept = self.model_dump(include=set(EncodingSettings.model_fields) - {"layers", "memory"})
        return {**flat(kept), "dtype": dtype, "device": device}
