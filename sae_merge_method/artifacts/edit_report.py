"""``out/edit_report.json``: for every tensor of a merged checkpoint, edited or the base's, and its hash."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.tensor_names import decoder_layer

if TYPE_CHECKING:
    from pandas import DataFrame


class FilteredWeight(Record):
    """One of a donor's weights."""

    filter: str | None
    """Part of a tensor's name that it is for; None for all that no filter before it took."""
    weight: float


class DonorWeights(Record):
    """One donor, as the recipe names it, and its weights in order of precedence."""

    model: str
    weights: tuple[FilteredWeight, ...]

    def __str__(self) -> str:
        return ", ".join(
            f"{one.weight:g}" + (f" for {one.filter}" if one.filter is not None else "")
            for one in self.weights
        )


class LayerWeights(Record):
    """The donors of layers that have the same."""

    layers: tuple[int, ...]
    donors: tuple[DonorWeights, ...]


class EditRequest(Record):
    """The recipe of one merge, resolved."""

    recipe_sha256: str
    """Of the recipe's text, in UTF-8: of ``mergekit_config.yml`` as it was written."""
    parameters: Mapping[str, Scalar]
    """The merge method's own, as the recipe writes them."""
    weights: tuple[LayerWeights, ...]
    """Of all selected layers: gradients and filters resolved, a share of energy not yet taken."""

    def by_layer(self) -> dict[int, tuple[DonorWeights, ...]]:
        """The donors of each selected layer."""
        return {layer: group.donors for group in self.weights for layer in group.layers}


REPORT_FILE = "edit_report.json"


Status = Literal["edited", "base"]


class TensorReport(Record):
    """One tensor as it was written."""

    name: str
    layer: int | None
    """Text decoder layer it belongs to; None for embeddings, final norm, head, vision, projector."""
    status: Status
    dtype: str
    """safetensors' name of the stored dtype."""
    shape: tuple[int, ...]
    xxh3: str
    """XXH3-128 of the tensor's bytes as stored, in hex: finds damage, at the speed of memory."""
    sha256: str | None
    """The same by sha256, which nobody can forge: of edited tensors, of others only when asked for."""
    nbytes: int = Field(ge=0)
    """Length of the tensor's bytes."""
    energy: float = Field(ge=0)
    """Squared Frobenius norm of (written - base), rounding to the stored dtype included."""

    @classmethod
    def of(cls, entry: TensorEntry, hashes: Hashes, status: Status, energy: float) -> "TensorReport":
        """The report of a tensor that lies where ``entry`` says."""
        return cls(
            name=entry.name,
            layer=decoder_layer(entry.name),
            status=status,
            dtype=entry.dtype,
            shape=entry.shape,
            xxh3=hashes.xxh3,
            sha256=hashes.sha256,
            nbytes=entry.nbytes,
            energy=energy,
        )


class EditReport(Record):
    """One merge."""

    schema_version: Literal[1] = 1
    merge_method: str
    base_model: str
    base_config_sha256: str
    donors: tuple[str, ...]
    layers: tuple[int, ...]
    """The selected layers."""
    energy: float = Field(ge=0)
    """Sum over tensors."""
    tensors: tuple[TensorReport, ...]
    """By name."""
    request: EditRequest | None = None
    """What the recipe asked for; reports of earlier versions do not say."""

    @property
    def result_sha256(self) -> str:
        """One hash for the whole result: sha256 over every tensor's name, dtype, shape and XXH3."""
        lines = (f"{t.name} {t.dtype} {list(t.shape)} {t.xxh3}\n" for t in self.tensors)
        return sha256("".join(lines).encode()).hexdigest()

    @property
    def edited_bytes(self) -> int:
        """Bytes of the edited tensors."""
        return sum(tensor.nbytes for tensor in self.edited())

    def edited(self) -> tuple[TensorReport, ...]:
        """The tensors whose layer was open."""
        return tuple(tensor for tensor in self.tensors if tensor.status == "edited")

    def to_frame(self) -> "DataFrame":
        """The tensors as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(TensorReport, self.tensors)


def read_edit_report(folder: str | Path) -> EditReport:
    """Read the report inside a merged checkpoint's folder.

    Raises:
        ArtifactError: Missing or not a report.
    """
    return read_record(Path(folder) / REPORT_FILE, EditReport, "an edit report")


def write_edit_report(folder: Path, report: EditReport) -> None:
    """Write the report into a merged checkpoint's folder."""
    write_record(folder / REPORT_FILE, report)
