"""How a merge is carried out: options of its command, and of ``merge`` in Python."""

from typing import Literal

from sae_merge_method.artifacts.schema import Record


class MergeSettings(Record):
    """How a recipe is run; what is merged stands in the recipe."""

    engine: Literal["direct", "mergekit"] = "direct"
    """direct computes the changed bytes alone and lets the kernel copy the rest; what it cannot do goes
    through mergekit all the same, with a log line."""
    link: bool = False
    """Hard-link weight files that stay as they are (direct engine)."""
    hash_all: bool = False
    """sha256 of every tensor in the report, not of the edited alone; an edit in place reads the others for
    it."""
    sync: bool = True
    """Wait until all is on the disk before the result appears."""
