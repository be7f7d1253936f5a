"""Tiny checkpoints in every layout, and an edit computed without any of the product's code.

HUB: as published. T5: as transformers 5 names a model built from a config. RAW: as custom
trainers save it. TXT: the text model alone.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from tests import tiny

LAYOUTS = ("HUB", "T5", "RAW", "TXT")
_TEXT = {
    "HUB": "language_model.model.",
    "T5": "language_model.model.",
    "RAW": "model.language_model.",
    "TXT": "model.",
}
_HEAD = {
    "HUB": "language_model.lm_head.",
    "T5": "language_model.lm_head.",
    "RAW": "lm_head.",
    "TXT": "lm_head.",
}
_VISION = {
    "HUB": "vision_tower.vision_model.",
    "T5": "vision_tower.",
    "RAW": "model.vision_tower.vision_model.",
}
_PROJECTOR = {
    "HUB": "multi_modal_projector.",
    "T5": "multi_modal_projector.",
    "RAW": "model.multi_modal_projector.",
}


def in_layout(tensors: tiny.Tensors, layout: str) -> tiny.Tensors:
    """HUB tensors under the names of another layout."""
    renamed: tiny.Tensors = {}
    for name, tensor in tensors.items():
        (prefixes,) = [kind for kind in (_TEXT, _HEAD, _VISION, _PROJECTOR) if name.startswith(kind["HUB"])]
        if layout in prefixes:
            renamed[prefixes[layout] + name.removeprefix(prefixes["HUB"])] = tensor
    return renamed


def gemma3(
    folder: Path,
    layout: str,
    seed: int,
    *,
    dtype: torch.dtype = torch.bfloat16,
    shards: int = 1,
    tied: bool = True,
    vocabulary: int = tiny.VOCABULARY,
    change: Callable[[tiny.Tensors], None] | None = None,
) -> Path:
    """A Gemma 3 checkpoint; the same seed gives the same weights in every layout."""
    config, tensors = tiny.gemma3_multimodal_parts(seed, dtype=dtype, vocabulary=vocabulary)
    if not tied:
        generator = torch.Generator().manual_seed(seed + 7)
        head = 0.1 * torch.randn((vocabulary, tiny.D_MODEL), generator=generator)
        tensors["language_model.lm_head.weight"] = head.to(dtype)
    if change:
        change(tensors)
    if layout == "TXT":
        config = tiny.text_config(vocabulary)
    else:
        config["text_config"] = dict(config["text_config"]) | {"tie_word_embeddings": tied}
    config["tie_word_embeddings"] = tied
    return tiny.save_checkpoint(folder, config, in_layout(tensors, layout), shards)


def expected(base: Path, donor: Path, layers: Iterable[int], alpha: float) -> tiny.Tensors:
    """What the edit must give, by names and rules written down here a second time."""
    before, theirs = tiny.load_tensors(base), tiny.load_tensors(donor)
    after = dict(before)
    for layer in layers:
        for suffix in (f"layers.{layer}.{part}" for part in tiny.layer_parts()):
            (ours,) = [name for name in before if "vision" not in name and name.endswith("." + suffix)]
            (other,) = [name for name in theirs if "vision" not in name and name.endswith("." + suffix)]
            theta = before[ours].float()
            after[ours] = (theta + (theirs[other].float() - theta) * alpha).to(before[ours].dtype)
    return after


def assert_same(found: tiny.Tensors, wanted: tiny.Tensors) -> None:
    """Same names, same bits."""
    assert found.keys() == wanted.keys()
    wrong = [name for name in wanted if not tiny.same_bytes(found[name], wanted[name])]
    assert not wrong
