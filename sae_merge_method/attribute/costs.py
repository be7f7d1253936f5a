"""What an attribution takes: memory beside the model, and forward passes."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.attribute.measure import BACKWARD
from sae_merge_method.attribute.path import FIRST_POINTS
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.attribute.streams import PASSES
from sae_merge_method.attribute.texts import Text
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.models.devices import AUTO, format_memory, free_memory, parse_memory


def fits(edited: EditedModel, memory: int) -> bool:
    """Whether base and task vector go into half of the memory beside the model, in float32 each."""
    return 2 * 4 * sum(tensor.base.n_values for tensor in edited.tensors) <= memory / 2


def memory_of(settings: AttributeSettings, sharers: int) -> int:
    """Bytes to use beside the model: what the settings allow, or a process' part of what is free.

    Args:
        settings: What the user allows each process.
        sharers: Processes that take their part.
    """
    import torch

    if settings.memory != AUTO:
        return parse_memory(settings.memory)
    return free_memory(torch.device("cpu")) // sharers


class Cost(NamedTuple):
    """What an attribution is expected to take."""

    words: str
    """What will be done, in passes over the texts."""
    passes: int
    """As many forward passes over all texts: without those that are beside the path and the probes."""

    def seconds(self, of_slopes: float) -> float:
        """Of all of it, where the slopes at the base took so many."""
        return of_slopes * self.passes / BACKWARD


def cost_of(settings: AttributeSettings, edited: EditedModel, texts: Sequence[Text], n_saes: int) -> Cost:
    """About how much is computed."""
    once = sum(text.batches for text in texts)
    tokens = sum(int(text.tokens.sum()) for text in texts)
    slopes = 1 if settings.first_order else 1 + FIRST_POINTS
    ends = 0 if settings.first_order else FIRST_POINTS // 2
    probes = len(edited.model.blocks) if settings.probe else 0
    passes = BACKWARD * slopes + ends + -(-probes // 2)  # from the injected layer on
    more = "" if settings.first_order else f", up to {settings.most_points} points where these miss too much"
    held = sum(tensor.base.n_values for tensor in edited.tensors) * 8
    where = f"held in {format_memory(held)}" if edited.hold else "read from its files at every point"
    asked = f", and {PASSES} to ask {n_saes} SAEs" if n_saes else ""
    words = (
        f"{tokens:,} predicted tokens of {len(texts)} texts: {slopes} backward and {ends + probes} forward "
        f"passes over each, as many as {passes} forward passes ({passes * once} batches){more}; "
        f"then two over a sample of the target{asked}; the task vector is {where}"
    )
    return Cost(words, passes)
