"""What the documents of one batch use at every place of a model that is listened to.

A processor is asked at each place, of the features that are active. Any other device is asked once for all
places of a batch, or when what it holds for later has become large; what it does is done on a processor, too,
where many features are active.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from sae_merge_method.diagnose.active_features import ManyActiveError
from sae_merge_method.diagnose.fetching import fetch
from sae_merge_method.diagnose.on_device import Held, LayoutThere, hold
from sae_merge_method.diagnose.on_processor import use_of
from sae_merge_method.diagnose.token_layout import TokenLayout
from sae_merge_method.diagnose.usage import PartialUsage, Reading
from sae_merge_method.layers import Unit

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.layer_encoders import LayerEncoders

MOST_HELD = 256 << 20
"""Bytes of tables that wait on a device."""


class BatchUsage:
    """The usage of one batch, place by place as the model reads on.

    Args:
        layout: Which of its tokens are whose.
    """

    def __init__(self, layout: TokenLayout) -> None:
        self._layout = layout
        self._there: dict[torch.device, LayoutThere] = {}
        self._held: dict[Unit, Held] = {}
        self._told: dict[Unit, tuple[PartialUsage, ...]] = {}

    def read(self, unit: Unit, reading: Reading, activations: "torch.Tensor") -> None:
        """Encode what was put out at one place.

        Args:
            unit: The layer or part of one.
            reading: Its SAE and what counts.
            activations: (T, d_model), document by document.

        Raises:
            ModelError: An activation is NaN or infinite.
            SaeError: A feature is, or what is decoded of some.
        """
        device = activations.device
        at_once = _is_asked_at_once(device)
        if at_once and not reading.many_active:
            with suppress(ManyActiveError):
                self._told[unit] = use_of(reading, activations, self._layout)
                return
        if device not in self._there:
            self._there[device] = LayoutThere.on(device, self._layout)
        self._held[unit] = hold(reading, activations, self._there[device])
        if at_once or sum(held.nbytes for held in self._held.values()) > MOST_HELD:
            self._fetch()

    def told(self) -> dict[Unit, tuple[PartialUsage, ...]]:
        """By place: of the SAE, then of each dictionary beside it.

        Raises:
            ModelError: An activation is NaN or infinite.
            SaeError: A feature is, or what is decoded of some.
        """
        self._fetch()
        return self._told

    def _fetch(self) -> None:
        for device in self._there:
            units = [unit for unit, held in self._held.items() if held.outlier.device == device]
            if units:
                self._told.update(zip(units, fetch([self._held[unit] for unit in units]), strict=True))
        self._held.clear()


def held_bytes(encoders: "LayerEncoders", documents: int, device: "torch.device") -> int:
    """The most memory of tables, which are put together before they are fetched.

    Args:
        encoders: Of one place.
        documents: Of the batch that has most.
        device: Of the model.
    """
    of_dictionaries = sum(len(one.directions) for one in encoders.beside.values())
    one_place = documents * (20 * encoders.sae.source.d_sae + 8 * of_dictionaries)
    return 2 * (one_place + (0 if _is_asked_at_once(device) else MOST_HELD))


def _is_asked_at_once(device: "torch.device") -> bool:
    return device.type == "cpu"
