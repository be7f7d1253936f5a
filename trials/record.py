"""What a trial is of, kept beside what it makes: one trial a folder, of one size and set of abilities."""

from collections.abc import Collection

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
    abilities: tuple[str, ...] = ()
    """What its texts and tasks are of; empty where an older version began it."""
    device: str = "cpu"
    """Where it was computed first: the card's own name, or cpu."""


def begin(folder: TrialFolder, size: str, abilities: Collection[str], device: str) -> TrialRecord:
    """The record of a folder, written unless it stands, with the abilities that it is of.

    Args:
        folder: The trial's.
        size: Name of the sizes that are asked for.
        abilities: Names of those that are asked for, all of the trial's or some.
        device: Of torch's names.

    Raises:
        UsageError: The folder holds a trial of other sizes, or without one of the abilities.
    """
    stands = read_record(folder) if (folder.root / _FILE).is_file() else None
    if stands is not None and stands.sizes != SIZES[size]:
        raise UsageError(
            f"expected a trial of the sizes {size!r} in {folder.root}, got one of {stands.size!r}: what "
            "stands was measured by those; name them, or another --out"
        )
    known = (stands.abilities if stands else ()) or folder.abilities() or tuple(abilities)
    if not set(abilities) <= set(known):
        raise UsageError(
            f"expected a trial of the abilities {', '.join(abilities)} in {folder.root}, got one of "
            f"{', '.join(known)}: what stands was made for those; name them, or another --out"
        )
    if stands is None:
        stands = TrialRecord(size=size, sizes=SIZES[size], abilities=known, device=_device_name(device))
        folder.root.mkdir(parents=True, exist_ok=True)
        write_text(folder.root / _FILE, canonical_json(stands.model_dump(mode="json")))
    return stands.model_copy(update={"abilities": known})


def read_record(folder: TrialFolder) -> TrialRecord:
    """The record of a folder; without one, that of a trial of the first sizes."""
    file = folder.root / _FILE
    if not file.is_file():
        return TrialRecord()
    return TrialRecord.model_validate_json(file.read_text(encoding="utf-8"))


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
