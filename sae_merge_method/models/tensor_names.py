"""Names of a checkpoint's tensors, whatever layout it was saved in.

Which decoder layer of the *text* model a tensor belongs to, what it is there, and one common
name for tensors that different layouts name differently. A name is matched from its beginning:
a bare ``layers\\.(\\d+)`` would also hit the vision tower's ninth layer.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from sae_merge_method.models.families import vocabulary

# Layouts of one and the same model; the right-hand side is the common name. What stands beside the layers is
# known by the families.
_COMMON = (
    (re.compile(r"(?:model\.language_model|language_model\.model)\."), "model."),
    (re.compile(r"language_model\.lm_head\."), "lm_head."),
    (re.compile(r"(?:language_model\.)?(?=layers\.)"), "model."),
    (re.compile(r"(?:model\.)?vision_tower\.(?:vision_model\.)?"), "vision_tower."),
    (re.compile(r"model\.multi_modal_projector\."), "multi_modal_projector."),
)


COMPUTED = (
    "*.rotary_emb.*",
    "attn.bias",
    "attn.masked_bias",
    "attention.bias",
    "attention.masked_bias",
)
"""Names within a layer of what models compute for themselves: masks, rotary frequencies. Some checkpoints
hold them, others of the same model do not; they are no part of a layer, and stay the base's."""


class LayerPart(NamedTuple):
    """What a tensor is inside the text decoder, for example layer 9's ``mlp.up_proj.weight``."""

    layer: int
    part: str


def layer_part(tensor_name: str) -> LayerPart | None:
    """Layer and part of a text decoder's tensor: the same in every layout; None for all others."""
    match = _match(tensor_name)
    return LayerPart(int(match["layer"]), match["part"]) if match else None


def decoder_layer(tensor_name: str) -> int | None:
    """Index of the text decoder layer that owns ``tensor_name``, or None.

    None means embeddings, final norm, head, vision tower, projector: never gated in.
    """
    within = layer_part(tensor_name)
    return within.layer if within else None


def common_name(tensor_name: str) -> str:
    """The name a tensor has in every layout: ``model.layers.9.mlp.up_proj.weight``.

    Layers that are called otherwise, such as GPT-2's, keep their names, which the random bits of roundings go
    by: layers are matched by :func:`layer_part`, or by :func:`place`.
    """
    for pattern, replacement in _COMMON:
        match = pattern.match(tensor_name)
        if match:
            return replacement + tensor_name[match.end() :]
    return _renamed(tensor_name, vocabulary().outside)


def place(tensor_name: str) -> LayerPart | str:
    """What a tensor is in every layout: its layer and part, what models compute included; else its name."""
    match = _layer_pattern(vocabulary().prefixes).match(tensor_name)
    return LayerPart(int(match["layer"]), match["part"]) if match else common_name(tensor_name)


def shared_name(tensor_name: str) -> str:
    """What a tensor, of a layer too, is called in its family's first layout: to be read, not matched by."""
    return _renamed(common_name(tensor_name), vocabulary().layers)


def _renamed(tensor_name: str, names: Mapping[str, str]) -> str:
    """A tensor's name with its beginning replaced, where that is one of ``names``."""
    match = _beginning(tuple(names)).match(tensor_name)
    return names[match[1]] + tensor_name[match.end(1) :] if match else tensor_name


@lru_cache(maxsize=8)
def _beginning(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(map(re.escape, names))})\.")


def describe_layout(tensor_names: Iterable[str]) -> str:
    """A checkpoint's layout in words, told by the prefixes of its names."""
    text: str | None = None
    vision: str | None = None
    for name in tensor_names:
        match = _match(name)
        if match and text is None:
            text = f"{match['prefix']}.N"
        tower = re.match(r"(?:model\.)?vision_tower\.(?:vision_model\.)?", name)
        if tower and vision is None:
            vision = f"{tower[0]}*"
    if text is None:
        return "no decoder layers"
    return f"{text}, {vision}" if vision else f"{text}, text only"


@lru_cache(maxsize=65536)
def _is_computed(part: str) -> bool:
    return any(fnmatchcase(part, pattern) for pattern in COMPUTED)


def _match(tensor_name: str) -> re.Match[str] | None:
    match = _layer_pattern(vocabulary().prefixes).match(tensor_name)
    return None if match is None or _is_computed(match["part"]) else match


@lru_cache(maxsize=4)
def _layer_pattern(prefixes: tuple[str, ...]) -> re.Pattern[str]:
    known = "|".join(map(re.escape, prefixes))
    return re.compile(rf"(?P<prefix>{known})\.(?P<layer>\d{{1,6}})\.(?P<part>.+)", re.ASCII)
