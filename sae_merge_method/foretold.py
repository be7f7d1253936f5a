"""What work took beside what was foretold of it: an estimate that is held against nothing stays wrong."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sae_merge_method.models.devices import format_memory, peak_memory
from sae_merge_method.reports.numbers import duration

if TYPE_CHECKING:
    import torch


@dataclass
class Foretold:
    """What work is expected to take; None for what nobody has said."""

    seconds: float | None = None
    nbytes: int | None = None
    """Beside what the process holds when it begins."""


@contextmanager
def held_against(device: "torch.device", report: Callable[[str], None]) -> Iterator[Foretold]:
    """Measure the work within, and say at its end what it took.

    Args:
        device: Whose memory is meant; where the work is on the CPU, this process's own.
        report: Takes the sentence; where the work fails, there is none.

    Yields:
        What is foretold, to be filled in once it is known.
    """
    foretold, began = Foretold(), time.monotonic()
    with peak_memory(device) as peak:
        yield foretold
    report(took(time.monotonic() - began, peak.nbytes, foretold))


def took(seconds: float, nbytes: int, foretold: Foretold) -> str:
    """The sentence.

    Args:
        seconds: What the work took.
        nbytes: Its peak memory.
        foretold: What was expected.
    """
    expected = "" if foretold.seconds is None else f" (about {duration(foretold.seconds)} foretold)"
    room = "" if foretold.nbytes is None else f" (about {format_memory(foretold.nbytes)} foretold)"
    return f"took {duration(seconds)}{expected} and at most {format_memory(nbytes)} beside the model{room}"
