"""``out/edit_report.json``: for every tensor of a merged checkpoint, edited or the base's, and its hash."""

import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.realised import LayerEdit, Realised
from sae_merge_method.artifacts.schema import OneOf, Record, read_record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.files.writing import canonical_json, write_text
from sae_merge_method.geometry.realised import NOTHING, EditSums
from sae_merge_method.layers import Unit
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.rounding import ROUNDINGS
from sae_merge_method.models.tensor_names import decoder_layer

if TYPE_CHECKING:
    from pandas import DataFrame


class FilteredWeight(Record):
    """One of a donor's weights."""

    filter: str | None
    """Text that a tensor's name must hold for the weight to apply; null for every tensor that no filter
    before it took."""
    weight: float
    """Factor of the donor's task vector."""


class DonorWeights(Record):
    """One donor, as the recipe names it, and its weights in order of precedence."""

    model: str
    """The donor, as the recipe names it."""
    weights: tuple[FilteredWeight, ...]
    """The donor's weights; of those that fit a tensor's name the first applies."""

    def __str__(self) -> str:
        return ", ".join(
            f"{one.weight:g}" + (f" for {one.filter}" if one.filter is not None else "")
            for one in self.weights
        )


class LayerWeights(Record):
    """Selected layers, or parts of them, that have the same donors with the same weights."""

    layers: tuple[UnitField, ...]
    """Numbers of the text decoder's layers, in the order of depth; of a layer that is selected in part, its
    parts, such as "11.attn"."""
    donors: tuple[DonorWeights, ...]
    """The donors of each of these layers, in the recipe's order."""


class EditRequest(Record):
    """The recipe of one merge, resolved."""

    recipe_sha256: str
    """Hex sha256 of the recipe's text in UTF-8: of ``mergekit_config.yml`` as the merge wrote it."""
    parameters: Mapping[str, Scalar]
    """The merge method's own parameters, as the recipe writes them, without defaults."""
    weights: tuple[LayerWeights, ...]
    """Donors and weights of all selected layers, gradients over layers resolved; what a parameter such as
    ``energy`` makes of the weights is not in them yet."""
    lora_merge_dtype: str | None = None
    """What the user had adapters rounded to as they were merged into their models, before the edit was
    computed; null for the default, and where no donor has an adapter."""

    def by_layer(self) -> dict[Unit, tuple[DonorWeights, ...]]:
        """The donors of each selected layer, or part of one."""
        return {layer: group.donors for group in self.weights for layer in group.layers}


REPORT_FILE = "edit_report.json"


Status = Literal["edited", "base"]


class TensorReport(Realised):
    """One tensor as it was written."""

    name: str
    """The tensor's name in the checkpoint."""
    layer: int | None
    """Text decoder layer that the tensor belongs to; null for embeddings, final norm, head, vision,
    projector."""
    status: Status
    """Whether the tensor's layer, or its part of it, was selected (edited), or the tensor is the base's
    (base)."""
    dtype: str
    """safetensors' name of the stored dtype, for example BF16."""
    shape: tuple[int, ...]
    """The tensor's shape, as the file's header states it."""
    xxh3: str | None
    """XXH3-128 of the tensor's bytes as stored, in hex: finds damage, at the speed of memory. An edit in
    place reads no tensor that it leaves: of those it is what the base's own report says, and null without
    one, unless the edit was asked for all."""
    sha256: str | None
    """sha256 of the tensor's bytes as stored, in hex, which nobody can forge; null for a tensor of the
    base's, unless the merge was asked for all."""
    nbytes: int = Field(ge=0)
    """Length of the tensor's bytes."""

    @classmethod
    def of(
        cls, entry: TensorEntry, hashes: Hashes | None, status: Status, sums: EditSums = NOTHING
    ) -> "TensorReport":
        """The report of a tensor that lies where ``entry`` says; ``hashes`` is None where it was not read."""
        return cls(
            **cls.figures(sums),
            name=entry.name,
            layer=decoder_layer(entry.name),
            status=status,
            dtype=entry.dtype,
            shape=entry.shape,
            xxh3=hashes.xxh3 if hashes is not None else None,
            sha256=hashes.sha256 if hashes is not None else None,
            nbytes=entry.nbytes,
        )

    @property
    def sums(self) -> EditSums:
        """What the figures add up from."""
        return self.sums_of(math.prod(self.shape))


class FileReport(Record):
    """One file beside the weights, as the merge left it."""

    name: str
    """The file's path in the checkpoint's folder."""
    sha256: str
    """Hex sha256 of the file's bytes."""


class EditReport(Realised):
    """One merge: what was edited, by how much, and the hash of every tensor and every file."""

    schema_version: Literal[4] = 4
    """Version of this file's format."""
    merge_method: str
    """The merge method, by the recipe's name for it."""
    base_model: str
    """The base, as the recipe names it."""
    base_config_sha256: str
    """Hex sha256 of the base's config.json."""
    donors: tuple[str, ...]
    """The donors as the recipe names them, in the order of their first layer."""
    layers: tuple[UnitField, ...]
    """The selected layers, by number in the order of depth; of a layer that was selected in part, its parts,
    such as "11.attn"."""
    rounding: Annotated[str, OneOf(ROUNDINGS)]
    """How edited values were rounded to the stored dtype; the seed is among the request's parameters."""
    by_layer: tuple[LayerEdit, ...]
    """What was edited in each selected layer, or part of one, and what of it is stored."""
    tensors: tuple[TensorReport, ...]
    """Every tensor of the merged checkpoint, by name."""
    beside: tuple[FileReport, ...]
    """Every file beside the weights that decides what a loader loads and generates: config, generation
    settings, tokenizer, chat templates, processor; by name."""
    request: EditRequest
    """What the recipe asked for."""
    base_dtypes: tuple[str, ...] | None = None
    """safetensors' names of all floating-point dtypes among the base's tensors, by name: a tensor of the
    base's that is stored in another has its values, widened or rounded. Null in older reports."""

    @property
    def realised(self) -> Realised:
        """The figures of the whole edit, without the rest."""
        return Realised.model_validate(self.model_dump(include=set(Realised.model_fields)))

    @property
    def result_sha256(self) -> str | None:
        """One hash for the whole result, :func:`tensors_sha256`; None where a tensor was not read."""
        hashed = [(t.name, t.dtype, t.shape, t.xxh3) for t in self.tensors if t.xxh3 is not None]
        return tensors_sha256(hashed) if len(hashed) == len(self.tensors) else None

    @property
    def edited_bytes(self) -> int:
        """Bytes of the edited tensors."""
        return sum(tensor.nbytes for tensor in self.edited())

    def edited(self) -> tuple[TensorReport, ...]:
        """The tensors that were selected, with their layer or their part of it."""
        return tuple(tensor for tensor in self.tensors if tensor.status == "edited")

    def to_frame(self) -> "DataFrame":
        """The tensors as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(TensorReport, self.tensors)


def tensors_sha256(tensors: Iterable[tuple[str, str, tuple[int, ...], str]]) -> str:
    """One hash for a set of tensors, in hex: sha256 over a line each, in the order of their names.

    Args:
        tensors: Name, safetensors' dtype, shape and XXH3-128 of each.
    """
    lines = (f"{name} {dtype} {list(shape)} {xxh3}\n" for name, dtype, shape, xxh3 in sorted(tensors))
    return sha256("".join(lines).encode()).hexdigest()


def read_edit_report(folder: str | Path) -> EditReport:
    """Read the report inside a merged checkpoint's folder.

    Raises:
        ArtifactError: Missing or not a report.
    """
    return read_record(Path(folder) / REPORT_FILE, EditReport, "an edit report")


def write_edit_report(folder: Path, report: EditReport) -> None:
    """Write the report into a merged checkpoint's folder."""
    write_text(folder / REPORT_FILE, report_text(report))


def report_text(report: EditReport) -> str:
    """The report as its file holds it."""
    return canonical_json(report.model_dump(mode="json"))
