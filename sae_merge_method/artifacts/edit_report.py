"""``out/edit_report.json``: for every tensor of a merged checkpoint, edited or the base's, and its hash."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record, read_record, write_record

REPORT_FILE = "edit_report.json"


class TensorReport(Record):
    """One tensor as it was written."""

    name: str
    layer: int | None
    """Text decoder layer it belongs to; None for embeddings, final norm, head, vision, projector."""
    status: Literal["edited", "base"]
    dtype: str
    """safetensors' name of the stored dtype."""
    shape: tuple[int, ...]
    sha256: str
    """Of the tensor's bytes as stored."""
    energy: float = Field(ge=0)
    """Squared Frobenius norm of (written - base), rounding to the stored dtype included."""


class EditReport(Record):
    """One merge."""

    schema_version: Literal[1] = 1
    merge_method: str
    base_model: str
    base_config_sha256: str
    donors: tuple[str, ...]
    layers: tuple[int, ...]
    """The open layers."""
    energy: float = Field(ge=0)
    """Sum over tensors."""
    tensors: tuple[TensorReport, ...]
    """By name."""

    def edited(self) -> tuple[TensorReport, ...]:
        """The tensors whose layer was open."""
        return tuple(tensor for tensor in self.tensors if tensor.status == "edited")


def read_edit_report(folder: Path) -> EditReport:
    """Read the report inside a merged checkpoint's folder.

    Raises:
        ArtifactError: Missing or not a report.
    """
    return read_record(folder / REPORT_FILE, EditReport, "an edit report")


def write_edit_report(folder: Path, report: EditReport) -> None:
    """Write the report into a merged checkpoint's folder."""
    write_record(folder / REPORT_FILE, report)
