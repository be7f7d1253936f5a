"""What a trial is of, kept beside what it makes: one folder holds one trial, of one size."""

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import canonical_json, write_text
from trials.folder import TrialFolder
from trials.sizes import SIZES, Sizes

_FILE = "trial.json"


class TrialRecord(Record):
    """What every command of a trial was told, and the report says."""

    size: str = next(iter(SIZES))
    """Name of the sizes."""
    sizes: Sizes = Sizes()
    """What they come to."""
    device: str = "cpu"
    """Where it was computed first: the card's own name, or cpu."""


def begin(folder: TrialFolder, size: str, device: str) -> TrialRecord:
    """The record of a folder, written unless it stands.

    Args:
        folder: The trial's.
        size: Name of the sizes that are asked for.
        device: Of torch's names.

    Raises:
        UsageError: The folder holds a trial of other sizes.
    """
    asked = TrialRecord(size=size, sizes=SIZES[size], device=_device_name(device))
    if not (folder.root / _FILE).is_file():
        folder.root.mkdir(parents=True, exist_ok=True)
        write_text(folder.root / _FILE, canonical_json(asked.model_dump(mode="json")))
        return asked
    stands = read_record(folder)
    if stands.sizes != asked.sizes:
        raise UsageError(
            f"expected a trial of the sizes {size!r} in {folder.root}, got one of {stands.size!r}: what "
            "stands was measured by those; name them, or another --out"
        )
    return stands


def read_record(folder: TrialFolder) -> TrialRecord:
    """The record of a folder; without one, that of a trial of the first sizes."""
    file = folder.root / _FILE
    if not file.is_file():
        return TrialRecord()
    return TrialRecord.model_validate_json(file.read_text(encoding="utf-8"))


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
