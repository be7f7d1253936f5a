"""What was measured so far, a JSON line each: a killed search goes on, and comes to the same bytes.

Every process has a file of its own, and reads those of all.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.hashing import json_sha256

_FILES = "measured*.jsonl"


class Store:
    """Numbers by what they were measured on.

    Args:
        folder: Where the files lie, or will.
        rank: Number of this process among all.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._folder, self._own = folder, folder / f"measured-{rank}.jsonl"
        kept = sum(len(line) for line in _whole_lines(self._own))
        if self._own.exists() and kept < self._own.stat().st_size:
            with self._own.open("r+b") as stream:
                stream.truncate(kept)
        self._known: dict[str, Any] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._known)

    def refresh(self) -> None:
        """Take in what all processes have kept: of two that measured the same, the same one for all."""
        known: dict[str, Any] = {}
        for file in sorted(self._folder.glob(_FILES)):
            for line in _whole_lines(file):
                value = json.loads(line)
                known.setdefault(value["key"], value["measured"])
        self._known = known

    def find(self, key: str) -> Any:
        """What was measured, or None."""
        return self._known.get(key)

    def keep(self, key: str, measured: Any) -> None:
        """Add a line; it is with the system when this returns."""
        self._known[key] = measured
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._own.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": key, "measured": measured}, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Those that stand before one that a kill cut short."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    for line in raw.splitlines(keepends=True):
        try:
            value = json.loads(line)
            _ = value["key"], value["measured"]
        except (ValueError, KeyError, TypeError):
            return
        if not line.endswith(b"\n"):
            return
        yield line


def key_of(*parts: Any) -> str:
    """A short name of what is measured: a hash of values that JSON can hold."""
    return json_sha256(parts)[:32]
