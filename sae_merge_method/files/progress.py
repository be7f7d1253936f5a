"""A hidden folder beside an output that is not whole yet: what is done so far, to go on from after a kill.

It says on which inputs the work was done; what lies in it is the business of whose work it is.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.writing import canonical_json, write_text

_INPUTS = "inputs.json"

Inputs = Mapping[str, str | int | float | None]
"""Everything that changes what is done, by a name a user understands."""


class Progress:
    """What is done so far of one output.

    Args:
        out: The output to be; the folder lies beside it, hidden.
        inputs: What it is made of.
        work: How messages name the work, such as "diagnosis".

    Raises:
        UsageError: Work on other inputs stands there; the message names what changed.
    """

    def __init__(self, out: Path, inputs: Inputs, work: str) -> None:
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
                f"an interrupted {work} in {self.folder} had other settings, and cannot be resumed "
                f"({differences or 'written by another version'}): repeat them, or delete that folder"
            )

    def begin(self) -> None:
        """Say what the work is on, before anything of it is kept."""
        if not (self.folder / _INPUTS).is_file():
            write_text(self.folder / _INPUTS, canonical_json(self._inputs))

    def discard(self) -> None:
        """Forget everything: the output is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, str | int | float | None] | None:
        path = self.folder / _INPUTS
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error}): delete {self.folder}") from error
        return written if isinstance(written, dict) else {}


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Within, a safetensors file of unfinished work is read, which was written whole or not at all.

    Raises:
        ArtifactError: It is damaged.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from error
