"""The families of models as the manual's one table of them: rows of ``FAMILIES``, and types beyond.

A type that stands in no row is read by the names that it shares with one; those in ``BY_NAMES`` are tried.
"""

from collections.abc import Sequence

from sae_merge_method.models.families import FAMILIES
from sae_merge_method.reports.grid import Grid, plain_grid

BY_NAMES = (
    "qwen3_moe", "mixtral", "gpt_oss", "llama4_text", "gemma4_text", "qwen3_5_text", "qwen3_5_moe_text",
    "deepseek_v3", "olmo2", "smollm3",
)  # fmt: skip
"""transformers' types of text models in no row that tests merge, verify and diagnose."""
_SEVERAL_STREAMS = ("gemma3n_text",)
"""Types whose blocks put out several streams at once: there is none to diagnose."""
_MERGED = (*BY_NAMES, "llama", "mistral", "qwen3", "gemma2", "gemma3_text", "gemma3n_text", "phi3")
"""Types of which tests merge tiny models, made by transformers' own classes."""
_KNOWN = "what writes and reads the stream"
_UNKNOWN = "what has the names of a family above; experts, linear attention by residual_axes"
_BY_THEIR_NAMES = "what has the names of a family above"


def family_grid() -> Grid:
    """A row a family: what is merged, diagnosed and projected, its parts' names, how it was tried."""
    header = (
        *("family", "transformers' types", "merge", "diagnose", "scalpel and energy"),
        *("attention, MLP", "tried on"),
    )
    rows = [
        (
            family.name,
            ", ".join(family.model_types),
            "layers, attn, mlp",
            _diagnosed(family.model_types),
            _KNOWN if family.axes else "by residual_axes",
            "; ".join(", ".join(pair) for pair in family.parts),
            _tried(family.model_types),
        )
        for family in FAMILIES.values()
    ]
    rows += [
        (
            name,
            name,
            "layers, attn (linear too), mlp (experts, router)",
            _diagnosed((name,)),
            _UNKNOWN,
            _BY_THEIR_NAMES,
            _tried((name,)),
        )
        for name in BY_NAMES
    ]
    return plain_grid(header, rows, words=header)


def _diagnosed(model_types: Sequence[str]) -> str:
    deaf = [name for name in model_types if name in _SEVERAL_STREAMS]
    return "every layer's output" + (f", not of {', '.join(deaf)}" if deaf else "")


def _tried(model_types: Sequence[str]) -> str:
    merged = [name for name in model_types if name in _MERGED]
    return (
        f"tiny models of {', '.join(merged)}" if merged else "names, held against transformers' own classes"
    )
