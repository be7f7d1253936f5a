"""The only way to an SAE: opened by its address, described, and held against all refusals.

Whoever has an SAE knows that it can be used. In which files it lies is the affair of ``formats``, what
must not be used that of ``checks``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.files.regular import read_regular
from sae_merge_method.loaded.sites import STREAM, Site
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import read_rows
from sae_merge_method.saes import saelens
from sae_merge_method.saes.checks import RESCALED, SaeDescription, Wanted, check_sae
from sae_merge_method.saes.dictionaries import DICTIONARIES, load_dictionary, read_dictionary_rows
from sae_merge_method.saes.encoders import LoadedEncoder
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.formats import (
    Config,
    Describe,
    Format,
    SaeFiles,
    describe_saelens,
    files_of_formats,
    format_of_folder,
    format_of_release,
    told_by_place,
)
from sae_merge_method.saes.releases import ReleaseEntry, fetch, find_entry
from sae_merge_method.saes.sae import Floats, LayerSae, Sae

if TYPE_CHECKING:
    import torch


def open_sae(
    address: SaeAddress,
    width: int | None = None,
    hook: str = "resid_post",
    within: Mapping[str, str] = STREAM,
) -> Sae:
    """Open an SAE: read its config and the header of its weights, and hold it against all refusals.

    Args:
        address: Where it lies.
        width: Of the activations that it is wanted for, where a model is at hand.
        hook: The kind of site that it is wanted for.
        within: What transformers calls the sites of the model's blocks; see
            :func:`~sae_merge_method.loaded.sites.names_within`.

    Raises:
        RefusedSaeError: It is of a kind that cannot be used, of another place, or of another width.
        SaeError: It cannot be read.
    """
    wanted = Wanted(Site(address.layer, hook), (), width, within)
    if address.release in DICTIONARIES and address.folder is None:
        return _open_dictionary(address, width)
    stored = _stored(address)
    if stored is None:
        return _open_through_saelens(address, wanted)
    return _open_files(address, wanted, stored)


def load_sae(
    address: SaeAddress,
    width: int,
    dtype: "torch.dtype",
    device: "torch.device",
    hook: str = "resid_post",
    within: Mapping[str, str] = STREAM,
) -> LayerSae:
    """Open one layer's SAE and load its encoder.

    Raises:
        RefusedSaeError: See :func:`open_sae`.
        SaeError: It cannot be read.
    """
    return open_sae(address, width, hook, within).load(dtype, device)


def describe_sae(address: SaeAddress) -> SaeDescription:
    """What an SAE's config says of it, or where it has none its place; no weights are fetched.

    Raises:
        SaeError: It cannot be read.
    """
    if address.release in DICTIONARIES and address.folder is None:
        return SaeDescription(address.release, "")
    stored = _stored(address)
    if stored is None:
        config = saelens.read_release_config(address.release, address.id)
        return _describe(describe_saelens, config, find_entry(address.release, address.id))
    return _describe(stored.kind.describe, _config(address, stored)[0], stored.entry)


class _Stored(NamedTuple):
    kind: Format
    file: Callable[[str], Path]
    """Where a file of the SAE lies, by its name."""
    entry: ReleaseEntry | None = None
    """Of a release."""


def _stored(address: SaeAddress) -> _Stored | None:
    """How an SAE's files are read; None for a release that SAELens alone can read."""
    if address.folder is not None:
        folder, kind = address.folder, format_of_folder(address.folder)
        if kind is None:
            raise SaeError(f"no SAE in {folder}: expected {files_of_formats()}")
        return _Stored(kind, lambda name: folder / name)
    entry = find_entry(address.release, address.id)
    kind = format_of_release(entry.conversion)
    return None if kind is None else _Stored(kind, lambda name: fetch(entry, name), entry)


def _config(address: SaeAddress, stored: _Stored) -> tuple[Config, Path | None]:
    """An SAE's config, or what stands in its place, and the file it was read from."""
    kind, entry = stored.kind, stored.entry
    if kind.config is not None:
        file = stored.file(kind.config)
        return _read_config(file, kind), file
    lies_at = address.folder.resolve() if address.folder else f"{entry.repo_id}/{entry.path}" if entry else ""
    return told_by_place(str(lies_at), address.layer), None


def _open_files(address: SaeAddress, wanted: Wanted, stored: _Stored) -> Sae:
    kind = stored.kind
    wanted = wanted._replace(architectures=kind.architectures)
    config, config_file = _config(address, stored)
    description = _describe(kind.describe, config, stored.entry)
    # Once before the weights are fetched, which may be large, and once with what they tell.
    check_sae(str(address), description, wanted)
    release = (address.release, address.id) if stored.entry else None
    files = SaeFiles(config_file, stored.file(kind.weights), release)
    decoder = _decoder(files.weights, kind, address)
    d_sae, d_in = decoder.shape
    description = description._replace(d_in=d_in)
    check_sae(str(address), description, wanted)

    def read_directions(features: Sequence[int]) -> Floats:
        try:
            return read_rows(decoder, features)
        except ModelError as error:
            raise SaeError(f"cannot read the SAE {address}: {error}") from error

    return Sae(address, description, d_sae, d_in, read_directions, partial(kind.load_encoder, files))


def _open_dictionary(address: SaeAddress, d_model: int | None) -> Sae:
    """A dictionary that is not learned, in the SAE's place."""
    row, layer, d = DICTIONARIES[address.release], address.layer, d_model or 0
    sizes = row.sizes(address.id, d)

    def load(dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
        encoder = load_dictionary(row, sizes, layer, d, dtype, device)
        return LoadedEncoder(encoder, {"directions": encoder.directions})

    read = partial(read_dictionary_rows, row, sizes, layer, d_model)
    return Sae(address, SaeDescription(row.name, "", d_in=d_model), sizes.d_sae, d, read, load)


def _open_through_saelens(address: SaeAddress, wanted: Wanted) -> Sae:
    """A release that SAELens alone can read: its config now, its weights when they are wanted."""
    release, id = address.release, address.id
    config = saelens.read_release_config(release, id)
    description = _describe(describe_saelens, config, find_entry(release, id))
    description = description._replace(d_in=int(config["d_in"]))
    check_sae(str(address), description, wanted._replace(architectures=saelens.ARCHITECTURES))
    decoder = cache(lambda: saelens.read_release_decoder(release, id))
    return Sae(
        address,
        description,
        int(config["d_sae"]),
        int(config["d_in"]),
        lambda features: decoder()[list(features)],
        partial(saelens.load_release, release, id),
    )


def _describe(describe: Describe, config: Config, entry: ReleaseEntry | None) -> SaeDescription:
    if entry is None:
        return describe(config)
    description = describe({**config, **entry.overrides})
    if entry.is_rescaled and description.normalization == RESCALED:
        description = description._replace(normalization="none")  # SAELens folds the factor in
    return description._replace(neuronpedia=entry.neuronpedia)


def _read_config(file: Path, kind: Format) -> dict[str, Any]:
    try:
        config = json.loads(read_regular(file).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SaeError(f"expected the config of an SAE ({kind.name}) at {file}: {error}") from error
    if not isinstance(config, dict):
        raise SaeError(f"expected the config of an SAE ({kind.name}) at {file}, a JSON object")
    return config


def _decoder(file: Path, kind: Format, address: SaeAddress) -> TensorEntry:
    try:
        entry = kind.header(file).get(kind.decoder)
    except ModelError as error:
        raise SaeError(f"cannot read the SAE {address}: {error}") from error
    if entry is None or len(entry.shape) != 2:
        held = "nothing of that name" if entry is None else f"shape {list(entry.shape)}"
        raise SaeError(f"{file}: expected a decoder matrix {kind.decoder}, features x d_model, found {held}")
    return entry
