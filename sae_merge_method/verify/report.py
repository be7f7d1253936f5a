"""What an audit comes to: proved, not provable here, or violated. As data, and as lines to read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from typing_extensions import override

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.layers import named_units
from sae_merge_method.reports.notebook import View


class Violation(Record):
    """One thing that is not as the recipe says."""

    where: str
    """Name of the tensor or file."""
    what: str
    """What was expected, and what is there."""

    @override
    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


Role = Literal["base", "donor"]


class HeldAgainst(Record):
    """One model that a checkpoint was held against."""

    role: Role
    """What the model is to the recipe."""
    model: str
    """The model, as the recipe names it."""
    folder: Path
    """Where it was read: its folder, of a model with an adapter the model's, or the journal of the edit in
    place that keeps the base's bytes."""
    revision: str | None
    """Commit of the Hub's snapshot that was read; null where the folder is none."""
    config_sha256: str
    """Hex sha256 of the model's config.json."""
    tensors: int
    """How many of the model's tensors were read."""
    tensors_sha256: str
    """One hash over the tensors that were read, in hex, taken as an edit report takes that of its result."""

    @override
    def __str__(self) -> str:
        revision = f"revision {self.revision}" if self.revision else "no revision, a folder"
        return (
            f"the {self.role} {self.model} at {self.folder} ({revision}; config {self.config_sha256[:16]}, "
            f"{self.tensors} tensors {self.tensors_sha256[:16]})"
        )


class AuditReport(Record):
    """One merged checkpoint held against its own recipe."""

    checkpoint: Path
    """The merged folder."""
    merge_method: str
    """Merge method, by the recipe in the folder."""
    layers: tuple[UnitField, ...]
    """Selected decoder layers and parts of layers, by the recipe in the folder."""
    n_layers: int
    """Decoder layers of the checkpoint."""
    result_sha256: str
    """One hash over every tensor of the checkpoint, as its edit report takes it."""
    against: tuple[HeldAgainst, ...]
    """The models that the checkpoint was held against: the base, then the donors, each as far as it was at
    hand."""
    proved: tuple[str, ...]
    """Sentences that hold of every tensor or file they speak of."""
    unproved: tuple[str, ...]
    """What could not be checked, and what is missing for it."""
    violated: tuple[Violation, ...]
    """What is not as the recipe says, an entry for each tensor or file."""

    @property
    def sound(self) -> bool:
        """Whether something is proved, and nothing is violated."""
        return bool(self.proved) and not self.violated


def audit_view(report: AuditReport) -> View:
    """What an audit came to, line by line."""
    layers = named_units(report.layers, report.n_layers)
    lines = [
        f"{report.checkpoint}: {report.merge_method}, {layers}",
        *(f"  against     {model}" for model in report.against),
        *(f"  proved      {sentence}" for sentence in report.proved),
        *(f"  not proved  {sentence}" for sentence in report.unproved),
        *(f"  VIOLATED    {violation}" for violation in report.violated),
    ]
    if report.violated:
        lines.append(f"{len(report.violated)} violations")
    elif not report.proved:
        lines.append("nothing is proved")
    return View((), head=tuple(lines))


@dataclass
class Established:
    """Collects what the checks of one audit establish, in the order in which they are made."""

    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    _faults: dict[str, list[str]] = field(default_factory=dict)
    """By tensor or file, which may be wrong in several ways."""

    @property
    def violated(self) -> tuple[Violation, ...]:
        """One for each tensor or file."""
        return tuple(Violation(where=where, what="; ".join(what)) for where, what in self._faults.items())

    @contextmanager
    def proving(self, sentence: str) -> Iterator[None]:
        """Record ``sentence`` as proved, unless the check in the block violates something."""
        before = self._n_faults()
        yield
        if self._n_faults() == before:
            self.prove(sentence)

    def prove(self, sentence: str) -> None:
        """Record something as proved."""
        self.proved.append(sentence)

    def leave_open(self, sentence: str) -> None:
        """Record what cannot be proved here, and why."""
        self.unproved.append(sentence)

    def prove_nothing(self, why: str) -> None:
        """Take back all that seemed to be proved: it would hold of any checkpoint."""
        self.proved.clear()
        self.unproved.insert(0, f"anything: {why}")

    def violate(self, where: str, what: str) -> None:
        """Record that a tensor or file is not as it must be."""
        self._faults.setdefault(where, []).append(what)

    def _n_faults(self) -> int:
        return sum(map(len, self._faults.values()))
