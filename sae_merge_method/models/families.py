"""Model families: one row a family, and nothing else lists them.

A row says what a family calls things: the layers of its text decoder in checkpoints, the sizes in
its config, the list of blocks in transformers, its begin-of-text and turn markers, and which axis of each of
a layer's tensors is the residual stream's. Names are looked up in all rows together, whatever a
model's type: so a model of a type that stands in no row is read as far as its names are known, and
a name that several rows have must mean the same in each (where two differ, the first counts).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from sae_merge_method.models.family import AxisRule, Family, NormRule, ResidualAxis, Sizes, shared_names

_READS = ResidualAxis(1, "read")  # torch.nn.Linear stores (out, in)
_WRITES = ResidualAxis(0, "write")
_VECTOR_READS = ResidualAxis(0, "read")
_INSIDE = ResidualAxis(None)


def _rules(axes: Mapping[str, ResidualAxis]) -> tuple[AxisRule, ...]:
    return tuple(AxisRule(pattern, axis) for pattern, axis in axes.items())


_LLAMA_LIKE = _rules(
    {
        "self_attn.[qkv]_proj.weight": _READS,
        "self_attn.[qkv]_proj.bias": _INSIDE,
        "self_attn.[qk]_norm.weight": _INSIDE,
        "self_attn.o_proj.*": _WRITES,
        "mlp.gate_proj.weight": _READS,
        "mlp.up_proj.weight": _READS,
        "mlp.gate_proj.bias": _INSIDE,
        "mlp.up_proj.bias": _INSIDE,
        "mlp.down_proj.*": _WRITES,
        "input_layernorm.*": _VECTOR_READS,
        # Gemma's stands behind attention, Llama's in front of the MLP; the name does not tell.
        "post_attention_layernorm.*": _WRITES,
    }
)
_GEMMA_NORMS = _rules({"pre_feedforward_layernorm.*": _VECTOR_READS, "post_feedforward_layernorm.*": _WRITES})
_FUSED = _rules({"self_attn.qkv_proj.weight": _READS, "mlp.gate_up_proj.weight": _READS})
_GPT2 = _rules(  # Conv1D stores (in, out)
    {
        "attn.c_attn.weight": ResidualAxis(0, "read"),
        "attn.c_proj.weight": ResidualAxis(1, "write"),
        "mlp.c_fc.weight": ResidualAxis(0, "read"),
        "mlp.c_proj.weight": ResidualAxis(1, "write"),
        "attn.c_attn.bias": _INSIDE,
        "mlp.c_fc.bias": _INSIDE,
        "attn.c_proj.bias": _WRITES,
        "mlp.c_proj.bias": _WRITES,
        "ln_[12].*": _VECTOR_READS,
    }
)
_GPT_NEOX = _rules(
    {
        "attention.query_key_value.weight": _READS,
        "attention.query_key_value.bias": _INSIDE,
        "attention.dense.*": _WRITES,
        "mlp.dense_h_to_4h.weight": _READS,
        "mlp.dense_h_to_4h.bias": _INSIDE,
        "mlp.dense_4h_to_h.*": _WRITES,
    }
)
_LLAMA_NORMS = (
    NormRule("self_attn.*", ("input_layernorm.weight",)),
    # Gemma has both, and the second of them stands behind attention.
    NormRule("mlp.*", ("pre_feedforward_layernorm.weight", "post_attention_layernorm.weight")),
)
_GPT2_NORMS = (NormRule("attn.*", ("ln_1.weight",)), NormRule("mlp.*", ("ln_2.weight",)))
_GPT_NEOX_NORMS = (
    NormRule("attention.*", ("input_layernorm.weight",)),
    NormRule("mlp.*", ("post_attention_layernorm.weight",)),
)

# Behind each part stands a norm, and the stream gets what it puts out.
_NORMED_PARTS = (("post_attention_layernorm", "post_feedforward_layernorm"), ("self_attn", "mlp"))

_MODULES_OF_GPT2 = {"attn": ("attn",), "mlp": ("mlp",)}

_TEXT = ("model.layers", "layers")  # with a language-model head, and without
_IN_MULTIMODAL = (
    "model.language_model.layers",  # saved by custom trainers
    "language_model.model.layers",  # the published checkpoints of Gemma 3 and Mistral 3
    "language_model.layers",  # the text model inside a multimodal one
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "Llama",
            ("llama",),
            _TEXT,
            _LLAMA_LIKE,
            norms=_LLAMA_NORMS,
            # Others that are built like Llama have begin-of-text tokens of other names, and were not.
            begins_with=("<s>", "<|begin_of_text|>"),
            turn_markers=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        ),
        Family(
            "Mistral",
            ("mistral", "ministral3"),
            (*_TEXT, *_IN_MULTIMODAL),
            _LLAMA_LIKE,
            norms=_LLAMA_NORMS,
            begins_with=("<s>",),
            turn_markers=("[INST]", "[/INST]"),
            special_ids=("image_token_id", "image_token_index"),
        ),
        Family(
            "Qwen",
            ("qwen2", "qwen2_vl_text", "qwen2_5_vl_text", "qwen3", "qwen3_vl_text"),
            (*_TEXT, *_IN_MULTIMODAL),
            _LLAMA_LIKE,
            norms=_LLAMA_NORMS,
            turn_markers=("<|im_start|>", "<|im_end|>"),
            special_ids=("image_token_id",),
        ),
        Family(
            "Gemma",
            ("gemma", "gemma2"),
            _TEXT,
            _LLAMA_LIKE + _GEMMA_NORMS,
            norms=_LLAMA_NORMS,
            norms_add_one=("gemma", "gemma2"),
            parts=_NORMED_PARTS,
            begins_with=("<bos>",),
            turn_markers=("<start_of_turn>", "<end_of_turn>"),
        ),
        Family(
            "Gemma 3",
            ("gemma3_text", "gemma3n_text"),
            (*_TEXT, *_IN_MULTIMODAL),
            _LLAMA_LIKE + _GEMMA_NORMS,
            norms=_LLAMA_NORMS,
            norms_add_one=("gemma3_text",),
            parts=_NORMED_PARTS,
            begins_with=("<bos>",),
            turn_markers=(
                *("<start_of_turn>", "<end_of_turn>"),
                *("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
            ),
            special_ids=(
                *("image_token_id", "image_token_index"),
                *("boi_token_id", "boi_token_index", "eoi_token_id", "eoi_token_index"),
            ),
            overflows_float16=True,
        ),
        Family("Phi-3", ("phi3",), _TEXT, _LLAMA_LIKE + _FUSED, norms=_LLAMA_NORMS),
        Family(
            "GPT-2",
            ("gpt2",),
            ("transformer.h", "h"),
            _GPT2,
            norms=_GPT2_NORMS,
            sizes=Sizes("n_layer", "n_embd", ("n_head", "n_inner")),
            block_list="h",
            outside=("wte", "wpe", "ln_f"),
            parts=(("attn", "mlp"),),
            modules=_MODULES_OF_GPT2,
            mixes_heads="attn.c_proj",
            embeddings=("transformer.wte.weight", "wte.weight"),
        ),
        Family(
            "GPT-Neo",
            ("gpt_neo",),
            ("transformer.h", "h"),
            (),
            sizes=Sizes("num_layers", "hidden_size", ("num_heads", "intermediate_size")),
            block_list="h",
            outside=("wte", "wpe", "ln_f"),
            parts=(("attn", "mlp"),),
            modules=_MODULES_OF_GPT2,
            mixes_heads="attn.attention.out_proj",
            embeddings=("transformer.wte.weight", "wte.weight"),
        ),
        Family(
            "GPT-NeoX",
            ("gpt_neox",),
            ("gpt_neox.layers", "layers"),
            _GPT_NEOX,
            norms=_GPT_NEOX_NORMS,
            outside=("embed_in", "final_layer_norm"),
            parts=(("attention", "mlp"),),
            modules={"attn": ("attention",), "mlp": ("mlp",)},
            mixes_heads="attention.dense",
            embeddings=("gpt_neox.embed_in.weight", "embed_in.weight"),
            heads=("embed_out.weight",),
        ),
    )
}
"""All families by name; Pythia is a GPT-NeoX, Ministral a Mistral."""


class Vocabulary(NamedTuple):
    """What all families together call things, each name once, in the order of the rows."""

    prefixes: tuple[str, ...]
    layers: Mapping[str, str]
    """By prefix, the one of the family's first layout."""
    outside: Mapping[str, str]
    """The same of what decoders have beside their layers."""
    axes: tuple[AxisRule, ...]
    layer_counts: tuple[str, ...]
    widths: tuple[str, ...]
    shapes: tuple[str, ...]
    """Widths and all other sizes in which models that belong together agree."""
    block_lists: tuple[str, ...]
    embeddings: tuple[str, ...]
    heads: tuple[str, ...]
    turn_markers: frozenset[str]
    special_ids: tuple[str, ...]
    modules: Mapping[str, str]
    """By name of a layer's module, the part of the layer that it belongs to."""


def vocabulary() -> Vocabulary:
    """The table read by columns, as it is now."""
    return _vocabulary(tuple(FAMILIES.values()))


@lru_cache(maxsize=4)
def _vocabulary(families: tuple[Family, ...]) -> Vocabulary:
    sizes = [family.sizes for family in families]
    widths = tuple(dict.fromkeys(size.width for size in sizes))
    return Vocabulary(
        prefixes=tuple(dict.fromkeys(prefix for family in families for prefix in family.prefixes)),
        layers=shared_names((family, family.block_list) for family in families),
        outside=shared_names((family, module) for family in families for module in family.outside),
        axes=tuple(dict.fromkeys(rule for family in families for rule in family.axes)),
        layer_counts=tuple(dict.fromkeys(size.layers for size in sizes)),
        widths=widths,
        shapes=(*widths, *dict.fromkeys(key for size in sizes for key in size.others)),
        block_lists=tuple(dict.fromkeys(family.block_list for family in families)),
        embeddings=tuple(dict.fromkeys(name for family in families for name in family.embeddings)),
        heads=tuple(dict.fromkeys(name for family in families for name in family.heads)),
        turn_markers=frozenset(marker for family in families for marker in family.turn_markers),
        special_ids=tuple(dict.fromkeys(field for family in families for field in family.special_ids)),
        modules={
            name: part for family in families for part, names in family.modules.items() for name in names
        },
    )


def family_of(model_type: str | None) -> Family | None:
    """The family of a text decoder's ``model_type``, or None where no row has it."""
    return next((family for family in FAMILIES.values() if model_type in family.model_types), None)
