"""Whether an SAE is another one than a diagnosis was made with: said where it is certain, and only there.

A diagnosis keeps an SAE's place, and a hash over its encoder's parameters in the precision they were used in.
Within a release the id tells. A folder's files may have been trained anew, or moved, so there the hash does:
its parameters are hashed in every precision that a model can have, and where none of these hashes is the
recorded one, the file is another. That is not asked of a file which is not used as it is, because SAELens
changes what old versions wrote, nor of one in 16 bits, which may be a rounded copy.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.errors import SaeError
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, narrow
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import pieces, read_values
from sae_merge_method.saes.dictionaries import DICTIONARIES
from sae_merge_method.saes.encoder_hash import Parameter, encoder_sha256
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.formats import format_of_folder
from sae_merge_method.saes.releases import find_entry
from sae_merge_method.saes.sae import Sae

_AT_ONCE = 1 << 22
_WIDE = ("F32", "F64")
_SAELENS = {
    "standard": {"W_enc", "b_enc", "b_dec"},
    "topk": {"W_enc", "b_enc", "b_dec"},
    "jumprelu": {"W_enc", "b_enc", "b_dec", "threshold"},
    "gated": {"W_enc", "b_gate", "b_mag", "r_mag", "b_dec"},
}
"""What SAELens' own files hold beside the decoder, by architecture, where it uses them as they are."""


def why_another(sae: Sae, diagnosed: SaeSource, dtype: str = "") -> str | None:
    """What shows that an SAE is not the one that was diagnosed, as the end of a sentence; None for nothing.

    Args:
        sae: An SAE of the same layer.
        diagnosed: What the diagnosis keeps of its own.
        dtype: The precision that the diagnosis was made in, where it is known: tried first.

    Raises:
        ModelError: A file that was read a moment ago cannot be read.
    """
    if sae.d_sae != diagnosed.d_sae:
        return f"that had {diagnosed.d_sae} features, this has {sae.d_sae}"
    address = sae.address
    now = address.release if address.folder is None else None
    if now in DICTIONARIES or diagnosed.release in DICTIONARIES:
        return None if now == diagnosed.release else f"that was {diagnosed.release}, this is {address}"
    if address.folder is None:
        return _of_a_release(address, diagnosed)
    return _of_a_folder(sae, diagnosed, dtype)


def _of_a_release(address: SaeAddress, diagnosed: SaeSource) -> str | None:
    if address.release != diagnosed.release:
        return None  # two releases may hold the same SAE, or a folder a copy of one
    try:
        now, then = (find_entry(address.release, id).path for id in (address.id, diagnosed.id))
    except SaeError:
        return None  # SAELens' table names it otherwise by now
    return None if now == then else f"that was {diagnosed.id}, this is {address.id}"


def _of_a_folder(sae: Sae, diagnosed: SaeSource, dtype: str) -> str | None:
    if sae.description.hook_point != diagnosed.hook_point:
        return None  # every format names the place in its own way: it may be a copy in another
    entries = _parameters(sae, from_release=bool(diagnosed.id))
    if entries is None or any(entry.dtype not in _WIDE for entry in entries):
        return None
    for kind in sorted(DTYPE_NAMES, key=lambda kind: (DTYPE_NAMES[kind] != dtype, kind != "F32")):
        digest = _sha256(entries, kind)
        if digest is None or digest == diagnosed.sha256:
            return None
    return "its encoder's weights are not those that were used then"


def _parameters(sae: Sae, *, from_release: bool) -> list[TensorEntry] | None:
    """The encoder's tensors in an SAE's folder, by name; None where they are not used as they lie there."""
    folder = sae.address.folder
    kind = None if folder is None else format_of_folder(folder)
    if folder is None or kind is None:
        return None
    held = kind.header(folder / kind.weights)
    names = {name for name in kind.tensors.values() if name != kind.decoder}
    if not names:  # SAELens' own: of a release, its table may say more than the files
        names = _SAELENS.get(sae.description.architecture, set())
        if not names or from_release or names != held.keys() - {kind.decoder}:
            return None
    return [held[name] for name in sorted(names)] if names <= held.keys() else None


def _sha256(entries: Sequence[TensorEntry], kind: str) -> str | None:
    """The hash that a diagnosis keeps of parameters used in a type; None where one is not finite in it."""
    try:
        return encoder_sha256(
            {entry.name: Parameter(DTYPE_NAMES[kind], entry.shape, _used(entry, kind)) for entry in entries}
        )
    except OverflowError:
        return None


def _used(entry: TensorEntry, kind: str) -> Iterator[memoryview]:
    for first, size in pieces(entry.n_values, _AT_ONCE):
        values = read_values(entry, first, size)
        used = np.empty(size, DTYPES[kind].numpy)
        if not narrow(values, kind, used, np.empty_like(values)):
            raise OverflowError(f"{entry.name} is not finite in {DTYPE_NAMES[kind]}")
        yield used.data
