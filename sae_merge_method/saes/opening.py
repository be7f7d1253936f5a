"""The only way to an SAE: opened by its address, described, and held against all refusals.

Whoever has an SAE knows that it can be used. In which files it lies is the affair of ``formats``, what
must not be used that of ``checks``.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.files.regular import read_regular
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


def open_sae(address: SaeAddress, d_model: int | None = None) -> Sae:
    """Open an SAE: read its config and the header of its weights, and hold it against all refusals.

    Args:
        address: Where it lies.
        d_model: Width of the model's residual stream, where a model is at hand.

    Raises:
        RefusedSaeError: It is of a kind that cannot be used, of another layer, or of another width.
        SaeError: It cannot be read.
    """
    if address.folder is not None:
        folder, kind = address.folder, format_of_folder(address.folder)
        if kind is None:
            raise SaeError(f"no SAE in {folder}: expected {files_of_formats()}")
        return _open_files(address, d_model, kind, lambda name: folder / name)
    if address.release in DICTIONARIES:
        return _open_dictionary(address, d_model)
    entry = find_entry(address.release, address.id)
    kind = format_of_release(entry.conversion)
    if kind is None:
        return _open_through_saelens(address, d_model, entry)
    return _open_files(address, d_model, kind, lambda name: fetch(entry, name), entry)


def load_sae(address: SaeAddress, d_model: int, dtype: "torch.dtype", device: "torch.device") -> LayerSae:
    """Open one layer's SAE and load its encoder.

    Raises:
        RefusedSaeError: See :func:`open_sae`.
        SaeError: It cannot be read.
    """
    return open_sae(address, d_model).load(dtype, device)


def _open_files(
    address: SaeAddress,
    d_model: int | None,
    kind: Format,
    file: Callable[[str], Path],
    entry: ReleaseEntry | None = None,
) -> Sae:
    wanted = Wanted(address.layer, kind.architectures, d_model)
    config_file = None if kind.config is None else file(kind.config)
    if config_file is not None:
        config: Config = _read_config(config_file, kind)
    else:
        place = (
            address.folder.resolve() if address.folder else f"{entry.repo_id}/{entry.path}" if entry else ""
        )
        config = told_by_place(str(place), address.layer)
    description = _describe(kind.describe, config, entry)
    # Once before the weights are fetched, which may be large, and once with what they tell.
    check_sae(str(address), description, wanted)
    files = SaeFiles(config_file, file(kind.weights), (address.release, address.id) if entry else None)
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


def _open_through_saelens(address: SaeAddress, d_model: int | None, entry: ReleaseEntry) -> Sae:
    """A release that SAELens alone can read: its config now, its weights when they are wanted."""
    release, id = address.release, address.id
    config = saelens.read_release_config(release, id)
    description = _describe(describe_saelens, config, entry)._replace(d_in=int(config["d_in"]))
    check_sae(str(address), description, Wanted(address.layer, saelens.ARCHITECTURES, d_model))
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
