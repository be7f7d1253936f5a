"""One layer's sparse autoencoder: opened by its description, read only as far as it is asked for.

There is no other way to an SAE: whoever has one knows that it can be used. Decoder directions are
read row by row, by byte ranges, without torch; the encoder is loaded when somebody encodes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import read_rows
from sae_merge_method.saes import saelens
from sae_merge_method.saes.checks import RESCALED, SaeDescription, Wanted, check_sae
from sae_merge_method.saes.dictionaries import DICTIONARIES, load_dictionary, read_dictionary_rows
from sae_merge_method.saes.encoders import Encoder, LoadedEncoder
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

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Sae:
    """One layer's SAE, held against all refusals; of its weights nothing is in memory yet."""

    address: SaeAddress
    description: SaeDescription
    d_sae: int
    """Number of features."""
    d_in: int
    """Width of the residual stream."""
    read_directions: Callable[[Sequence[int]], Floats]
    """Rows (k, d_in) of the decoder, of features that it has."""
    load_encoder: "Callable[[torch.dtype, torch.device], LoadedEncoder]"

    def directions(self, features: Sequence[int]) -> Floats:
        """Decoder directions (k, d_in) of some features as they are stored, in float32 at least.

        Raises:
            SaeError: A feature it does not have, or a damaged file.
        """
        outside = [feature for feature in features if not 0 <= feature < self.d_sae]
        if outside:
            raise SaeError(
                f"the SAE {self.address} has {self.d_sae} features, 0 to {self.d_sae - 1}; "
                f"feature {outside[0]} was asked for"
            )
        return self.read_directions(features)

    def load(self, dtype: "torch.dtype", device: "torch.device") -> "LayerSae":
        """Load the encoder.

        Raises:
            SaeError: Its parameters are missing, misshapen or damaged.
        """
        loaded = self.load_encoder(dtype, device)
        return LayerSae(
            layer=self.address.layer,
            encoder=loaded.encoder,
            source=SaeSource(
                release=self.address.release,
                id=self.address.id,
                sha256=_parameters_sha256(loaded.parameters),
                architecture=self.description.architecture,
                hook_point=self.description.hook_point,
                d_sae=self.d_sae,
                neuronpedia=self.description.neuronpedia,
            ),
            encoder_bytes=sum(tensor.nbytes for tensor in loaded.parameters.values()),
        )


class LayerSae(NamedTuple):
    """One layer's SAE ready to encode, and where it came from."""

    layer: int
    encoder: Encoder
    source: SaeSource
    encoder_bytes: int
    """Memory of the encoder."""

    @property
    def key(self) -> str:
        """Names this very SAE: another one in the same place has another key."""
        return f"layer-{self.layer:03d}-{self.source.sha256[:16]}"


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


def _parameters_sha256(parameters: "Mapping[str, torch.Tensor]") -> str:
    """sha256 over the encoder's parameters by name, in the precision they are used in."""
    import torch

    digest = sha256()
    for name, tensor in sorted(parameters.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()
