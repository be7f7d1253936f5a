"""Everything a user of the stethoscope can set, as a file to share, and what of it is recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from sae_merge_method.artifacts.schema import Record, describe
from sae_merge_method.diagnose.specificity import EPSILON
from sae_merge_method.errors import UsageError

# Recorded elsewhere in the diagnosis, under names of their own.
_ELSEWHERE = frozenset(("model", "sae", "sae_id", "target", "control", "score"))
# Change how the work is done and no number.
_HOW = frozenset(("memory", "select"))
# Come after listening: an interrupted run may be resumed with others.
_LATER = frozenset(("score", "permutations", "bootstrap", "seed", "snippets", "select"))


class DiagnoseSettings(Record):
    """One run of ``sae-merge diagnose``: its options, and the keys of a ``--config`` file."""

    model: str
    """Folder, or Hub id with an optional @revision."""
    sae: str
    """Folder template with {layer}, or a SAELens release."""
    sae_id: str | None = None
    """Id of a layer's SAE within ``sae``, with {layer}."""
    target: str
    """File or data set with text of the ability to edit."""
    control: str
    """File or data set with general text."""
    layers: str = "all"
    """Layers to listen to, such as "9, 11-13"."""
    text_field: str = "text"
    """Field or column that holds the text."""
    apply_chat_template: bool = False
    """Put every document into a user's turn; only its own text counts."""
    score: str = "kl_bits"
    max_documents: int | None = Field(None, ge=1)
    """Documents taken of each corpus."""
    max_tokens: int | None = Field(None, ge=1)
    """Counted tokens taken of each corpus."""
    max_length: int = Field(1024, ge=1)
    """Longest document in tokens; the rest of it is cut off."""
    batch_tokens: int = Field(2048, ge=1)
    """Tokens that go through the model together, with padding."""
    variance_tokens: int = Field(8192, ge=1)
    """About how many tokens are reconstructed for the explained variance."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "auto"
    device: str = "cpu"
    device_map: Literal["auto"] | None = None
    """Spread the model over all devices there are, in place of ``device``."""
    memory: str = "auto"
    """Memory to use beside the model, such as "6G"; auto is what is free."""
    permutations: int = Field(1000, ge=0)
    """Shuffles of document labels; 0 for no null."""
    bootstrap: int = Field(1000, ge=0)
    """Resamples of documents; 0 for no interval."""
    seed: int = Field(0, ge=0)
    snippets: int = Field(1, ge=0)
    """Target snippets kept of each of a layer's first features; 0 for none."""
    select: str | None = None
    """Selection rule whose layers are marked in the pictures, such as "top_k=3"."""

    def recorded(self, dtype: str) -> dict[str, str | int | float | bool | None]:
        """What the diagnosis keeps: all that can change a number and stands nowhere else in it.

        Args:
            dtype: The precision the model was really used in, in place of "auto".
        """
        kept = self.model_dump(exclude=set(_ELSEWHERE | _HOW))
        return {**kept, "dtype": dtype, "epsilon": EPSILON}

    def of_listening(self) -> dict[str, str | int | None]:
        """What must be the same for an interrupted run to be resumed."""
        return self.model_dump(exclude=set(_HOW | _LATER | {"layers"}))


def read_settings(config: Path | None, given: Mapping[str, Any]) -> DiagnoseSettings:
    """Settings from a file, overridden by what was given on the command line.

    Raises:
        UsageError: The file is no YAML mapping, or a setting is missing, unknown or out of range.
    """
    values: dict[str, Any] = {}
    if config is not None:
        try:
            loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"cannot read the configuration {config}: {error}") from error
        if not isinstance(loaded, dict):
            raise UsageError(f"expected settings such as model: and sae: in {config}")
        values = loaded
    try:
        return DiagnoseSettings.model_validate({**values, **given})
    except ValidationError as error:
        missing = [str(fault["loc"][0]) for fault in error.errors() if fault["type"] == "missing"]
        if missing:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise UsageError(f"missing {options}, on the command line or in --config") from error
        raise UsageError(f"settings that cannot be used:\n{describe(error)}") from error
