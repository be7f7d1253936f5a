"""Hashes that tell what an experiment's files are made from, and from what else now."""

from collections.abc import Mapping
from hashlib import sha256

from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import local_folder, parse_model_id


def model_stamp(model: str) -> str:
    """Tells a model's weights from others without reading them.

    Over its config and, for every weight file, its name, size and time of change; of the Hub's cache,
    the name of the blob, which is the hash of its bytes.

    Raises:
        ModelError: There is no such model.
    """
    folder = local_folder(parse_model_id(model))
    digest = sha256(file_sha256(folder / CONFIG_FILE).encode())
    for file in sorted(folder.glob("*.safetensors")):
        target = file.resolve()
        state = target.stat()
        what = target.name if file.is_symlink() else str(state.st_mtime_ns)
        digest.update(f"{file.name} {state.st_size} {what}\n".encode())
    return digest.hexdigest()


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]
