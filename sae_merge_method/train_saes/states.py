"""What is kept of a training that is not done: the state of each SAE, whole or not at all; no pickle.

Each SAE has a file of its own, which says after how many steps it was written: a run that was killed between
two of them leaves some a little ahead, and they wait for the others.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.files.descriptors import sync_file
from sae_merge_method.files.progress import Inputs, Progress, undamaged
from sae_merge_method.files.scratch import scratch_folder
from sae_merge_method.loaded.sites import Site

if TYPE_CHECKING:
    import torch


logger = logging.getLogger(__name__)


class Kept(NamedTuple):
    """What is kept of one SAE in training."""

    steps: int = 0
    """That it has taken."""
    nbytes: int = 0
    """On the disk."""


class States:
    """The states of one training's SAEs.

    Args:
        out: Folder of SAEs to be; the states lie beside it, hidden.
        inputs: Everything that changes an SAE, by a name a user understands.

    Raises:
        UsageError: States of a training on other inputs stand there.
    """

    def __init__(self, out: Path, inputs: Inputs) -> None:
        self._progress = Progress(out, inputs, "training of SAEs")

    def load(self, site: Site, device: "torch.device") -> "dict[str, torch.Tensor] | None":
        """One SAE's state; None where there is none.

        Raises:
            ArtifactError: The file is damaged.
        """
        from safetensors.torch import load_file

        path = self._file(site)
        if not path.is_file():
            return None
        with undamaged(path):
            tensors: dict[str, torch.Tensor] = load_file(path, device=str(device))
            return tensors

    def kept(self, site: Site) -> Kept:
        """What is kept of one SAE.

        Raises:
            ArtifactError: The file is damaged.
        """
        from safetensors import safe_open

        path = self._file(site)
        if not path.is_file():
            return Kept()
        with undamaged(path), safe_open(path, "np") as file:
            return Kept(int(file.get_tensor("step")), path.stat().st_size)

    def save(self, states: "Mapping[Site, Mapping[str, torch.Tensor]]") -> None:
        """Keep the states of some SAEs in place of earlier ones."""
        from safetensors.torch import save_file

        self._progress.begin()
        for site, tensors in states.items():
            path = self._file(site)
            with scratch_folder(path, "new") as folder:
                save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / path.name)
                sync_file(folder / path.name)
                (folder / path.name).replace(path)

    def discard(self, sites: Iterable[Site]) -> None:
        """Forget the states of SAEs that are whole; those of others stay for a run that asks for them."""
        for site in sites:
            self._file(site).unlink(missing_ok=True)
        left = sum(1 for _ in self._progress.folder.glob("*.safetensors"))
        if left:
            logger.info("%s keeps the states of %d SAEs that were not asked for", self._progress.folder, left)
        else:
            self._progress.discard()

    def _file(self, site: Site) -> Path:
        return self._progress.folder / f"{site.hook}-{site.layer}.safetensors"
