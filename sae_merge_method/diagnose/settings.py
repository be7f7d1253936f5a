"""Everything a user of the stethoscope can set, and what of it is written into the diagnosis."""

from dataclasses import asdict, dataclass
from pathlib import Path

from sae_merge_method.diagnose.specificity import EPSILON

# Recorded elsewhere in the diagnosis, under names of their own.
_ELSEWHERE = ("model", "sae", "sae_id", "target", "control", "score")


@dataclass(frozen=True)
class DiagnoseSettings:
    """One run of ``sae-merge diagnose``."""

    model: str
    """Folder, or Hub id with an optional @revision."""
    sae: str
    """Folder template with {layer}, or a SAELens release."""
    target: Path
    control: Path
    sae_id: str | None = None
    """Id of a layer's SAE within ``sae``, with {layer}."""
    layers: str = "all"
    """Layers to listen to, such as "9, 11-13"."""
    text_field: str = "text"
    score: str = "kl_bits"
    max_documents: int | None = None
    """Documents taken of each corpus."""
    max_tokens: int | None = None
    """Counted tokens taken of each corpus."""
    max_length: int = 1024
    """Longest document in tokens; the rest of it is cut off."""
    batch_tokens: int = 2048
    """Tokens that go through the model together, with padding."""
    variance_tokens: int = 8192
    """About how many tokens are reconstructed for the explained variance."""
    dtype: str = "auto"
    device: str = "cpu"
    permutations: int = 1000
    """Shuffles of document labels; 0 for no null."""
    bootstrap: int = 1000
    """Resamples of documents; 0 for no interval."""
    seed: int = 0

    def recorded(self, dtype: str) -> dict[str, str | int | float | bool | None]:
        """What the diagnosis keeps: all that can change a number and stands nowhere else in it.

        Args:
            dtype: The precision the model was really used in, in place of "auto".
        """
        kept = {name: value for name, value in asdict(self).items() if name not in _ELSEWHERE}
        return {**kept, "dtype": dtype, "epsilon": EPSILON}
