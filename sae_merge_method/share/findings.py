"""What a check of a recipe found: what fits, what does not, what could not be looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sae_merge_method.errors import SaeMergeError


@dataclass
class Findings:
    """Collects sentences; a failed check does not end the others."""

    fits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def fit(self, sentence: str) -> None:
        """Something is as it must be."""
        self.fits.append(sentence)

    def skip(self, sentence: str) -> None:
        """Something could not be checked."""
        self.skipped.append(sentence)

    @contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """Run one check; an error of ours in it becomes a fault."""
        try:
            yield
        except SaeMergeError as error:
            self.faults.append(f"{subject}: {error}")
