"""Show a donor's selected layers under the base's names: a small checkpoint with the same bytes."""

import json
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

from sae_merge_method.checkpoints import CONFIG_FILE, SINGLE_FILE, Checkpoint
from sae_merge_method.weight_files import WeightFiles

_AT_ONCE = 1 << 22


def renamed_view(donor: Checkpoint, base: Checkpoint, layers: Sequence[int], folder: Path) -> Path:
    """Write ``donor``'s tensors of ``layers`` into ``folder`` as the base names them.

    Args:
        donor: Checked against the base already.
        base: Whose names and config the view bears.
        layers: The open layers; nothing else of the donor is shown.
        folder: Made here.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(base.folder / CONFIG_FILE, folder / CONFIG_FILE)
    chosen = {
        ours.name: donor.layer_tensors[place]
        for place, ours in base.layer_tensors.items()
        if place.layer in layers
    }
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, entry in chosen.items():
        header[name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [reached, reached + entry.nbytes],
        }
        reached += entry.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # safetensors begins its data at a multiple of eight
    with (folder / SINGLE_FILE).open("wb") as stream, WeightFiles([donor]) as files:
        stream.write(struct.pack("<Q", len(text)) + text)
        for entry in chosen.values():
            for first in range(0, entry.nbytes, _AT_ONCE):
                piece = memoryview(bytearray(min(_AT_ONCE, entry.nbytes - first)))
                files.read(entry, first, piece)
                stream.write(piece)
    return folder
