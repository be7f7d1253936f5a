"""Everything that can be set of an attribution: options of its command, keys of a file to share."""

from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Location, Locations, Record, flat
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.devices import AUTO, DeviceName, MemoryAmount


class PathSettings(Record):
    """How a donor's task vector is attributed; also set beside a diagnosis."""

    donor: Location
    """Donor model: folder, Hub id[@revision], or model+adapter."""
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """What the points on the path from base to donor may miss of the change of the loss, as a share of it."""
    most_points: int = Field(default=32, ge=8)
    """Points on the path for each text, at most."""
    first_order: bool = False
    """Only the slope at the base, one backward pass a text: right for small weights, too large where a layer
    saturates."""
    probe: bool = False
    """Also measure what each layer gains when it is injected alone: one forward pass a layer and text."""
    groups: int = Field(default=30, ge=2)
    """Groups of sources that intervals are told from, each summed by itself."""
    checkpointing: bool = False
    """Compute activations again in the backward pass and keep none: less memory, a third slower."""
    allow_mismatch: AllowedMismatch = ()


class AttributeSettings(PathSettings):
    """One run of ``sae-merge attribute``."""

    base: Location
    """Base model: folder or Hub id[@revision]."""
    target: Location
    """Text of the ability: JSON lines, parquet or a document a line, gzip too; or a Hub data set,
    name[:config[:split]]. Where every document has the fields prompt and completion, the loss is of the
    completions' tokens."""
    control: Locations = Field(min_length=1)
    """Text that is to stay as it is, as for the target; may be given more than once. What a layer loses there
    is its damage."""
    sae: Location | None = None
    """SAEs to ask which features the edit acts through: a folder template such as saes/layer_{layer}, or a
    SAELens release; random or none for a dictionary that nobody trained. None are asked unless given."""
    sae_id: str | None = None
    """Id of a layer's SAE within ``sae``, such as layer_{layer}_width_16k_l0_small."""
    layers: str = "all"
    """Layers whose SAEs are asked, such as "9, 11-13"; gain and damage are attributed to all."""
    snippets: int = Field(default=1, ge=0)
    """Snippets to keep of each of the first features that a layer's edit acts through; 0 for none."""
    text_field: str = "text"
    """Field or column that holds the text; of several, such as content,text, the first that a corpus has."""
    group_field: str | None = None
    """Field or column that says which source a document is a part of, such as url: intervals then take a
    source's documents together. Each document is its own source unless given."""
    apply_chat_template: bool = False
    """Put every prompt into a user's turn; documents without answers are read as they are."""
    max_documents: int | None = Field(default=None, ge=1)
    """Documents to take of each text; all unless given."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Predicted tokens to take of each text; all unless given."""
    max_length: int = Field(default=1024, ge=2)
    """Longest document in tokens; of one that is longer the end is cut off, of a prompt the beginning."""
    batch_tokens: int = Field(default=2048, ge=1)
    """Tokens that go through the model together, with padding."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "float32"
    """Precision of the model; auto as in diagnose. In bfloat16 most of a small step along the path is
    rounded away, and the points do not add up."""
    device: DeviceName = AUTO
    """Torch device, such as cpu, cuda or cuda:1; auto is the best there is."""
    device_map: Literal["auto"] | None = None
    """Spread the model over all devices there are, in place of ``device``."""
    memory: MemoryAmount = AUTO
    """Memory to use beside the model, such as 6G; auto is what is free. Where the task vector fits into half
    of it, it is read once; else at every point anew."""

    def recorded(self, dtype: str) -> dict[str, str | int | float | bool | None]:
        """What the attribution keeps: all that can change a number and stands nowhere else in it.

        Args:
            dtype: The precision the model was really used in, in place of "auto".
        """
        elsewhere = {"base", "donor", "target", "control", "sae", "sae_id", "memory", "device", "device_map"}
        return {**flat(self.model_dump(exclude=elsewhere)), "dtype": dtype}

    def of_measurements(self, dtype: str, device: str) -> dict[str, str | int | float | None]:
        """What must be the same for an interrupted run to be resumed.

        Args:
            dtype: The precision the model is really used in, in place of "auto".
            device: The type of device it really lies on, likewise.
        """
        change_no_measurement = {"tolerance", "most_points", "first_order", "probe", "memory", "snippets"}
        return {**flat(self.model_dump(exclude=change_no_measurement)), "dtype": dtype, "device": device}
