"""Places in a model whose activations can be read or replaced: what a block puts out, and its two parts.

A site is named as SAELens and TransformerLens name it; which module of transformers puts it out is told by
the family's row. What a part adds to the stream is read behind the norm that stands after it, where a family
has one (Gemma 2 and 3): there TransformerLens has ``hook_attn_out`` and ``hook_mlp_out``, and there Gemma
Scope's MLP SAEs were trained (``post_feedforward_layernorm.output`` in their configs). Its attention SAEs, in
folders named ``attn_out``, were not: they read what the heads put out before it is mixed
(``self_attn.o_proj.input``, TransformerLens' ``hook_z``). Reading and replacing are left to ``passes``.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.errors import ModelError
from sae_merge_method.models.families import FAMILIES, family_of
from sae_merge_method.models.parts import PARTS
from sae_merge_method.models.tensor_names import layer_part

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel


class Hook(NamedTuple):
    """A kind of site: one row of the registry."""

    name: str
    description: str
    """What is read, for help texts."""
    saelens: str
    """SAELens' name of it, with the layer's number to be put in."""
    part: str | None
    """The part of the layer that it tells of, by its name in ``parts``; None for the whole layer."""
    in_stream: bool = True
    """Whether its directions are the residual stream's; else they are those of the heads, side by side."""


class Site(NamedTuple):
    """One place in a model."""

    layer: int
    hook: str = "resid_post"

    @property
    def saelens(self) -> str:
        """Its name in SAELens' words, such as blocks.9.hook_resid_post."""
        return HOOKS[self.hook].saelens.format(layer=self.layer)

    @property
    def description(self) -> str:
        """What is read there, such as "what block 9's MLP adds to the stream"."""
        return HOOKS[self.hook].description.replace("a block's", f"block {self.layer}'s")

    def __str__(self) -> str:
        return f"layer {self.layer}" if self.hook == "resid_post" else f"layer {self.layer} {self.hook}"


HOOKS: dict[str, Hook] = {
    row.name: row
    for row in (
        Hook("resid_post", "a block's output, the residual stream", "blocks.{layer}.hook_resid_post", None),
        Hook(
            "attn_out", "what a block's attention adds to the stream", "blocks.{layer}.hook_attn_out", "attn"
        ),
        Hook("mlp_out", "what a block's MLP adds to the stream", "blocks.{layer}.hook_mlp_out", "mlp"),
        Hook(
            "heads",
            "what a block's attention heads put out, side by side",
            "blocks.{layer}.attn.hook_z",
            "attn",
            in_stream=False,
        ),
    )
}
"""All kinds of sites by name."""
TRAINED: dict[str, Hook] = {name: row for name, row in HOOKS.items() if row.in_stream}
"""Those that SAEs can be trained on here: all of one width, in one space."""
_IN_ORDER = tuple(PARTS)
"""As a family's row names the modules of both parts."""
OUTPUT, INPUT = "output", "input"
STREAM: Mapping[str, str] = {OUTPUT: "resid_post"}
"""What transformers calls sites within a block, where no model is at hand to say what its parts are."""


def named_site(hook: str, within: Mapping[str, str] = STREAM) -> Site | None:
    """The site that a config names, in SAELens' words or in transformers'; None if it is none of these.

    Args:
        hook: Such as ``blocks.9.hook_mlp_out``, or ``model.layers.9.post_feedforward_layernorm.output``.
        within: Kinds of sites by what transformers calls them within a block, see :func:`names_within`: the
            same words mean another place in another family.
    """
    for row in HOOKS.values():
        if match := _in_saelens(row.saelens).fullmatch(hook):
            return Site(int(match[1]), row.name)
    within_layer = layer_part(hook if hook.endswith((f".{OUTPUT}", f".{INPUT}")) else f"{hook}.{OUTPUT}")
    kind = within.get(within_layer.part) if within_layer else None
    return Site(within_layer.layer, kind) if within_layer and kind else None


@lru_cache(maxsize=16)
def _in_saelens(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{layer\}", r"(\d{1,6})"), re.ASCII)


def names_within(model: "TextModel", layer: int) -> dict[str, str]:
    """By what transformers calls it within a block, such as ``mlp.output``, the kinds of sites that a layer
    has."""
    names = {}
    for hook in HOOKS:
        with suppress(ModelError):  # of a family whose parts nobody described, the block's output alone
            source = source_of(model, Site(layer, hook))
            names[".".join(filter(None, (source.name, source.side)))] = hook
    return names


def site_width(model: "TextModel", site: Site) -> int:
    """Width of the activations: the residual stream's, or that of all heads together."""
    if HOOKS[site.hook].in_stream:
        return model.d_model
    weight: torch.Tensor = source_of(model, site).module.get_parameter("weight")
    return weight.numel() // model.d_model  # (out, in), or in GPT-2 the other way round


class Source(NamedTuple):
    """Where a site's activation is to be had."""

    name: str
    """Of the module within the block; empty for the block."""
    module: "torch.nn.Module"
    side: str = OUTPUT
    """Whether the module puts it out or reads it."""


def source_of(model: "TextModel", site: Site) -> Source:
    """The module that puts out a site's activation, or for that of the heads reads it.

    Raises:
        ModelError: The parts of this family's blocks are not known, or have other names.
    """
    block, row = model.blocks[site.layer], HOOKS[site.hook]
    if row.part is None:
        return Source("", block)
    family = family_of(model.configs[-1].model_type)
    for names in family.parts if family else ():
        if family and all(hasattr(block, name) for name in names):
            name = names[_IN_ORDER.index(row.part)] if row.in_stream else family.mixes_heads
            with suppress(AttributeError):
                return Source(name, block.get_submodule(name), OUTPUT if row.in_stream else INPUT)
    raise ModelError(
        f"cannot tell what puts out {site.saelens} in {type(block).__name__}: known of the families "
        f"{', '.join(FAMILIES)}; resid_post can be read of any"
    )
