"""What an audit found: proved, not provable here, or violated; and how far it is."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from tqdm import tqdm


class Progress:
    """A progress bar on the terminal's stderr; a context manager."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="B", unit_scale=True, desc="verify", disable=None, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def advance(self, size: int) -> None:
        """``size`` bytes more are done."""
        self._bar.update(size)


class Violation(NamedTuple):
    """One thing that is not as the recipe says."""

    where: str
    """Name of the tensor or file."""
    what: str
    """What was expected, and what is there."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Ledger:
    """Collects the results of checks, in the order they are made."""

    faults: int = 0
    """How often something was found wrong; one tensor may be wrong in several ways."""
    proved: list[str] = field(default_factory=list)
    """Sentences that hold of every tensor or file they speak of."""
    unproved: list[str] = field(default_factory=list)
    """What could not be checked, and what is missing for it."""
    _violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """One for each tensor or file."""
        return tuple(Violation(where, "; ".join(what)) for where, what in self._violations.items())

    @property
    def sound(self) -> bool:
        """Whether nothing was violated."""
        return not self.faults

    def violate(self, where: str, what: str) -> None:
        """Record that something is not as it must be."""
        self.faults += 1
        self._violations.setdefault(where, []).append(what)

    def conclude(self, sentence: str, faults: int) -> None:
        """Record ``sentence`` as proved, unless the check behind it found faults."""
        if not faults:
            self.proved.append(sentence)
