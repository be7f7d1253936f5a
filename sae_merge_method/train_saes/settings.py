"""Everything a user of the SAE trainer can set: options of its command, keys of a file to share."""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, field_validator

from sae_merge_method.artifacts.schema import Location, Locations, OneOf, Record
from sae_merge_method.errors import UsageError
from sae_merge_method.loaded.sites import TRAINED
from sae_merge_method.models.devices import AUTO, DeviceName, MemoryAmount

_TIMES = re.compile(r"(\d+(?:\.\d+)?)x", re.IGNORECASE)
_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)", re.IGNORECASE)
_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class TrainSaesSettings(Record):
    """One run of ``sae-merge train-saes``: its options, and the keys of a ``--config`` file."""

    model: Location
    """Model whose activations the SAEs learn: a folder, or a Hub id with an optional @revision."""
    text: Locations = Field(min_length=1)
    """Text to learn from, as for a diagnosis: JSON lines, parquet or a document a line, gzip too; or a Hub
    data set, name[:config[:split]]. May be given more than once, each with a weight behind a colon, such as
    target.jsonl:2, in whose proportion tokens are taken."""
    layers: str = "all"
    """Layers to train SAEs for, such as "9, 11-13"."""
    hook: tuple[Annotated[str, OneOf(TRAINED)], ...] = Field(default=("resid_post",), min_length=1)
    """What of a layer to train an SAE on; several for one of each. A diagnosis listens with any of them."""
    width: str = "4x"
    """Features of an SAE: a number, or times the width of the activations, such as 4x."""
    k: int = Field(default=32, ge=1)
    """Features that are active at a token, on average."""
    tokens: str = "2M"
    """Tokens to train on, such as 64k or 2M; a corpus that is shorter is read again."""
    text_field: str = "text"
    """Field or column that holds the text."""
    max_documents: int | None = Field(default=None, ge=2)
    """Documents to take of each corpus; all unless given."""
    max_length: int = Field(default=1024, ge=2)
    """Longest piece of a document that the model reads at once, in tokens; longer ones are read in pieces."""
    batch_tokens: int = Field(default=2048, ge=1)
    """Tokens that go through the model together, with padding."""
    buffer_tokens: int = Field(default=16384, ge=1)
    """Activations of each SAE that are shuffled together, in tokens."""
    step_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a training step of an SAE; unless given, a 256th of all, but 128 to 1024."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Highest learning rate; unless given, 2e-4 for 16,384 features, and for fewer more, by the square
    root."""
    dead_after: int | None = Field(default=None, ge=1)
    """Steps without firing after which a feature counts as dead and is revived; unless given, an eighth of
    all steps, at most 1000."""
    held_out: int = Field(default=16384, ge=0)
    """Tokens to hold out of the training and to judge the SAEs by; 0 for no judgement."""
    loss_tokens: int = Field(default=4096, ge=1)
    """How many of them to judge the model's loss on, with a reconstruction in the activations' place."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "auto"
    """Precision of the model; auto is the checkpoint's, or float32 where this machine is clearly faster in
    it and has the memory. SAEs are always float32."""
    device: DeviceName = AUTO
    """Torch device, such as cpu, cuda, cuda:1 or mps; auto is the first there is of cuda, mps and cpu."""
    memory: MemoryAmount = AUTO
    """Memory to use beside the model, such as 6G; auto is what is free. Less memory, fewer SAEs at once and
    more passes over the texts."""
    seed: int = Field(default=0, ge=0)
    """Seed of first weights, order and what is held out."""
    save_every: float = Field(default=5.0, ge=0)
    """Minutes between two saved states; what is done after the last one is done again after a kill."""

    @field_validator("width")
    @classmethod
    def _a_width(cls, value: str) -> str:
        return _read(value, lambda: parse_width(value, 1))

    @field_validator("tokens")
    @classmethod
    def _a_count(cls, value: str) -> str:
        return _read(value, lambda: parse_count(value))

    def recorded(self, dtype: str, device: str) -> dict[str, str | int | float | None]:
        """What the report keeps: all that can change a number and stands nowhere else in it.

        Args:
            dtype: The precision the model was really used in, in place of "auto".
            device: The kind of device it really ran on, in place of "auto" or of one among several.
        """
        kept = self.model_dump(exclude={"model", "text", "memory", "save_every", "layers"})
        return {**kept, "hook": ", ".join(self.hook), "dtype": dtype, "device": device}


def parse_count(text: str) -> int:
    """A number such as 2000000, 2M or 64k.

    Raises:
        UsageError: It is none, or 0.
    """
    match = _COUNT.fullmatch(text.strip())
    count = int(float(match[1]) * _THOUSANDS[match[2].lower()]) if match else 0
    if count < 1:
        raise UsageError(f"expected a number of tokens such as 64k or 2M, got {text!r}")
    return count


def parse_width(text: str, d_in: int) -> int:
    """Features of an SAE on activations of width ``d_in``.

    Raises:
        UsageError: Neither a number nor a multiple such as 4x.
    """
    match = _TIMES.fullmatch(text.strip())
    width = round(float(match[1]) * d_in) if match else int(text) if text.strip().isdecimal() else 0
    if width < 1:
        raise UsageError(f"expected a number of features, or a multiple such as 4x, got {text!r}")
    return width


def _read(value: str, read: Callable[[], object]) -> str:
    try:
        read()
    except UsageError as error:
        raise ValueError(str(error)) from error
    return value
