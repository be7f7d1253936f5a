"""What was measured so far, a JSON line each: a killed search goes on, and comes to the same bytes."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ArtifactError

MEASURED = "measured.jsonl"


class Store:
    """Numbers by what they were measured on.

    Args:
        folder: Where the file lies, or will.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MEASURED
        self._known: dict[str, Any] = {}
        kept = 0
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ArtifactError(f"cannot read {self._path}: {error.strerror}") from error
        for line in raw.splitlines(keepends=True):
            try:
                value = json.loads(line)
                self._known[value["key"]] = value["found"]
            except (ValueError, KeyError, TypeError):
                break  # a kill cut this one short
            if not line.endswith(b"\n"):
                break
            kept += len(line)
        if kept < len(raw):
            with self._path.open("r+b") as stream:
                stream.truncate(kept)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str) -> Any:
        """What was measured, or None."""
        return self._known.get(key)

    def keep(self, key: str, found: Any) -> None:
        """Add a line; it is with the system when this returns."""
        self._known[key] = found
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": key, "found": found}, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def key_of(*parts: Any) -> str:
    """A short name of what is measured: a hash of values that JSON can hold."""
    return sha256(json.dumps(parts, allow_nan=False).encode()).hexdigest()[:32]
