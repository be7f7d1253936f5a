"""What was already encoded, kept beside the output until it is whole: kill and run again.

A chunk is a fixed run of batches. One file holds one layer's usage of one chunk, written whole or
not at all; what is there is not encoded again. The same chunks are joined in the same order however
often the work was interrupted, so the result has the same bytes.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sae_merge_method.diagnose.usage import ROWS, Moments, PartialUsage
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.writing import canonical_json, write_bytes, write_text

_INPUTS = "inputs.json"


class ChunkStore:
    """The folder of finished chunks of one diagnosis.

    Args:
        out: The diagnosis folder to be; the chunks lie beside it, hidden.
        inputs: Everything that changes a chunk, by a name a user understands.

    Raises:
        UsageError: Chunks of other inputs stand there; the message names what changed.
    """

    def __init__(self, out: Path, inputs: Mapping[str, str | int | None]) -> None:
        self.folder = out.parent / f".{out.name}.progress"
        self._inputs = dict(inputs)
        written = self._read()
        if written is None:
            return
        changed = [name for name in self._inputs if written.get(name) != self._inputs[name]]
        if changed or set(written) != set(self._inputs):
            differences = "; ".join(
                f"{name}: {written.get(name)} before, {inputs[name]} now" for name in changed
            )
            raise UsageError(
                f"an interrupted diagnosis in {self.folder} had other settings, and cannot be resumed "
                f"({differences or 'written by another version'}): repeat them, or delete that folder"
            )

    def has(self, layer: str, chunk: int) -> bool:
        """Whether this layer's usage of this chunk is there."""
        return self._file(layer, chunk).is_file()

    def save(self, layer: str, chunk: int, usage: PartialUsage) -> None:
        """Keep one layer's usage of one chunk."""
        from safetensors.numpy import save

        if not (self.folder / _INPUTS).is_file():
            write_text(self.folder / _INPUTS, canonical_json(self._inputs))
        moments = usage.moments
        tensors = {name: getattr(usage, name) for name in ROWS}
        tensors["sums"] = moments.sums
        tensors["totals"] = np.array([moments.tokens, moments.squares, moments.residuals])
        write_bytes(self._file(layer, chunk), save(tensors))

    def load(self, layer: str, chunk: int) -> PartialUsage:
        """Read one layer's usage of one chunk.

        Raises:
            ArtifactError: The file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self._file(layer, chunk)
        try:
            tensors = load_file(path)
            tokens, squares, residuals = tensors.pop("totals").tolist()
            moments = Moments(tokens, squares, tensors.pop("sums"), residuals)
            return PartialUsage(**tensors, moments=moments)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from error

    def discard(self) -> None:
        """Forget everything: the diagnosis is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, layer: str, chunk: int) -> Path:
        return self.folder / layer / f"chunk-{chunk:05d}.safetensors"

    def _read(self) -> dict[str, str | int | None] | None:
        path = self.folder / _INPUTS
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error}): delete {self.folder}") from error
        return written if isinstance(written, dict) else {}
