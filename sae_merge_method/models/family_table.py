"""What works for which family of models, as one table for the manual: the rows of ``FAMILIES``, and types beyond.

A type that stands in no row is read by the names that it shares with one; those in ``BY_NAMES`` are tried by tests.
"""

from sae_merge_method.models.families import FAMILIES
from sae_merge_method.reports.grid import Grid, plain_grid

BY_NAMES = (
    "qwen3_moe", "mixtral", "gpt_oss", "llama4_text", "gemma4_text", "qwen3_5_text", "qwen3_5_moe_text",
    "deepseek_v3", "olmo2", "smollm3",
)  # fmt: skip
"""transformers' types of text models in no row that tests merge, verify and listen to."""
_TINY = "tiny models by transformers' own classes"
_KNOWN = "what writes and reads the stream"
_UNKNOWN = "what has the names of a family above; experts, linear attention by residual_axes"


def family_grid() -> Grid:
    """A row a family: what merges, what can be diagnosed, what a scalpel projects, and how that was tried."""
    header = ("family", "types", "merge", "diagnose", "scalpel", "tried on")
    rows = [
        (
            family.name,
            ", ".join(family.model_types),
            "all layers",
            "every layer's output",
            _KNOWN if family.axes else "by residual_axes",
            _TINY,
        )
        for family in FAMILIES.values()
    ]
    rows += [
        (name, name, "all layers, experts included", "every layer's output", _UNKNOWN, _TINY)
        for name in BY_NAMES
    ]
    return plain_grid(header, rows, words=header)
