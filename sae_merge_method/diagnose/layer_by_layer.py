"""Layers worked on side by side, each on one core: scoring is many small steps, which cores share badly.

And a layer's numbers then do not depend on how many cores there are: the order of no sum does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import TypeVar

from tqdm.auto import tqdm

from sae_merge_method.files.parallel import run_all
from sae_merge_method.geometry.one_thread import one_torch_thread
from sae_merge_method.layers import Unit

_MOST = 8
"""Layers at a time, whatever number of cores: each is held in memory."""

Read = TypeVar("Read")
Made = TypeVar("Made")


def cores_used() -> int:
    """How many layers are worked on at a time: as many as torch would use cores."""
    import torch

    return max(1, min(torch.get_num_threads(), _MOST))


def layer_by_layer(
    layers: Sequence[Unit],
    read: Callable[[Unit], Read],
    work: Callable[[Read], Made],
    doing: str,
) -> list[Made]:
    """What is made of each layer, in their order.

    Args:
        layers: Which.
        read: Gives what there is of a layer; called for one at a time.
        work: What to make of it; called for several at once.
        doing: What is going on, for the progress bar.
    """
    cores = cores_used()
    reading = Lock()
    with one_torch_thread(), tqdm(total=len(layers), desc=doing, unit="layer", disable=None) as bar:

        def one(layer: Unit) -> Made:
            with one_torch_thread():
                with reading:
                    there = read(layer)
                made = work(there)
            with reading:
                bar.update()
            return made

        return run_all([partial(one, layer) for layer in layers], cores)
