"""Where the SAEs of a model's layers lie: in folders, or in a release on the Hub.

Whether an SAE fits, and reading it, are left to :mod:`sae_merge_method.saes.opening`.
"""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.saes.dictionaries import DICTIONARIES
from sae_merge_method.saes.formats import files_of_formats, format_of_folder, format_of_release
from sae_merge_method.saes.releases import at_hand, find_entry, release_ids

_LAYER = "{layer}"
_FOLDER = f"layer_{_LAYER}"
_ANY_LAYER = "layer_*"
_WIDEST = 4
"""Digits of the longest layer number with zeros in front that is looked for."""


class SaeAddress(NamedTuple):
    """Where one layer's SAE lies."""

    layer: int
    release: str
    """Release of SAELens' table, or the folder template as the user wrote it."""
    id: str
    """Id within the release; empty for a folder."""
    folder: Path | None
    """The folder; None for a release."""

    def __str__(self) -> str:
        return str(self.folder) if self.folder else f"{self.release} {self.id}"


def find_saes(source: str, id_template: str | None, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    """Find the layers that have an SAE; fewer than the model has is fine.

    Args:
        source: Folder template such as ``saes/layer_{layer}``, a folder of folders ``layer_<n>``, a SAELens
            release, or the name of a dictionary that is not learned. A ``*`` in a folder's name stands for
            whatever differs from layer to layer, such as ``average_l0_*``.
        id_template: Id of a layer's SAE within ``source``, such as ``layer_{layer}_width_16k_l0_small``.
        layers: Layers to look for.

    Raises:
        UsageError: No ``{layer}`` in the template.
        SaeError: No layer has an SAE there, a layer has several, or the release is unknown.
    """
    if source in DICTIONARIES:
        return tuple(SaeAddress(layer, source, id_template or "", None) for layer in layers)
    template = _template(source, id_template)
    if _LAYER not in template:
        raise UsageError(
            f"expected {_LAYER} in --sae or --sae-id to stand for the layer's number, "
            f"such as saes/layer_{_LAYER}; got {template!r}{_within(source)}"
        )
    if id_template is None or _means_folders(source):
        addresses = [_folder_address(template, layer) for layer in layers]
        present = tuple(address for address in addresses if address is not None)
        if not present:
            raise SaeError(
                f"no SAE found at {template} for any of the layers {min(layers)} to {max(layers)}: "
                f"expected folders with {files_of_formats()}"
            )
        return present
    known = release_ids(source)
    present = tuple(
        SaeAddress(layer, source, id, None)
        for layer in layers
        for id in _of_layer(id_template, layer)
        if id in known
    )
    if not present:
        raise SaeError(
            f"the release {source} has no SAE named like {id_template!r}; "
            f"some it has: {', '.join(sorted(known)[:4])}"
        )
    return present


def find_sae(source: str, id: str | None, layer: int) -> SaeAddress:
    """Find one layer's SAE.

    Args:
        source: Folder, folder template with ``{layer}``, folder of folders ``layer_<n>``, or SAELens release.
        id: Id of the SAE within ``source``; may hold ``{layer}`` too.
        layer: The layer whose SAE it is.

    Raises:
        SaeError: Nothing there, or nothing that is known as an SAE.
    """
    if source in DICTIONARIES:
        return SaeAddress(layer, source, id or "", None)
    template = _template(source, id)
    address = _folder_address(template, layer)
    if address is not None:
        return address
    folder = Path(_of_layer(template, layer)[0]).expanduser()
    if folder.is_dir():
        raise SaeError(f"no SAE in {folder}: expected {files_of_formats()}{_within(source)}")
    if id is None or _means_folders(source):
        raise SaeError(
            f"no SAE of layer {layer}: there is no folder {folder}; relative folders are sought from the "
            "working folder, and sae: in the recipe (--sae) names another place"
        )
    known, ids = release_ids(source), _of_layer(id, layer)
    for one in ids:
        if one in known:
            return SaeAddress(layer, source, one, None)
    raise SaeError(f"the release {source} has no SAE {ids[0]!r} for layer {layer}")


def fetched_files(address: SaeAddress) -> tuple[Path, ...]:
    """The files of a release's SAE in the Hub's cache, where all of them are; else none. Nobody is asked.

    None of a release whose files SAELens alone knows, and of what is of no release.

    Raises:
        SaeError: No such release, or no such SAE in it.
    """
    if address.folder is not None or address.release in DICTIONARIES:
        return ()
    entry = find_entry(address.release, address.id)
    kind = format_of_release(entry.conversion)
    files = [] if kind is None else [at_hand(entry, name) for name in kind.files]
    there = tuple(file for file in files if file is not None)
    return there if len(there) == len(files) else ()


def _template(source: str, id: str | None) -> str:
    if id:
        return f"{source}/{id}"
    folder = Path(source).expanduser()
    # A folder of a folder a layer, as train-saes writes it.
    is_of_layers = _LAYER not in source and any(folder.glob(_ANY_LAYER))
    return f"{source.rstrip('/')}/{_FOLDER}" if is_of_layers else source


def _within(source: str) -> str:
    """Says where a folder's own folders hold SAEs a layer, as train-saes writes those of a layer's parts."""
    folder = Path(source).expanduser()
    names = sorted({path.parent.name for path in folder.glob(f"*/{_ANY_LAYER}")})
    places = ", ".join(f"{source.rstrip('/')}/{name}" for name in names)
    return f"; SAEs of layers lie in {places}" if places else ""


def _of_layer(template: str, layer: int) -> tuple[str, ...]:
    """A template for one layer: with its plain number, then with zeros in front (``layer_02``)."""
    numbers = dict.fromkeys(str(layer).zfill(width) for width in range(1, _WIDEST + 1))
    return tuple(dict.fromkeys(template.replace(_LAYER, number) for number in numbers))


def _means_folders(source: str) -> bool:
    """Whether an id within ``source`` can only be a folder's name: no release is a folder, or has a layer."""
    return _LAYER in source or Path(source).expanduser().is_dir()


def _folder_address(template: str, layer: int) -> SaeAddress | None:
    folders = [
        folder
        for path in _of_layer(template, layer)
        for folder in _folders(Path(path).expanduser())
        if format_of_folder(folder) is not None
    ]
    if len(folders) > 1:
        raise SaeError(
            f"expected one SAE of layer {layer} at {template}, found {folders[0]} and {folders[1]}: name one "
            "of them in full"
        )
    # The template is kept as the user wrote it: it says where every layer's SAE lies.
    return SaeAddress(layer, template, "", folders[0]) if folders else None


def _folders(path: Path) -> list[Path]:
    """The folder of that name; all that fit it where it holds a ``*``."""
    if "*" not in str(path):
        return [path]
    pattern = "*".join(map(glob.escape, str(path.relative_to(path.anchor)).split("*")))
    return sorted(Path(path.anchor or ".").glob(pattern))
