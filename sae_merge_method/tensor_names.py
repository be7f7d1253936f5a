"""Which decoder layer of the *text* model a checkpoint's tensor belongs to.

The prefix is spelled out and anchored: a bare ``layers\\.(\\d+)`` would also hit the
vision tower's ninth layer, and a substring match the nineteenth.
"""

import re

_TEXT_DECODER_LAYER = re.compile(
    r"""
    (?:model\.language_model\.layers      # Gemma 3, Qwen-VL: saved by custom trainers
      |language_model\.model\.layers      # Gemma 3, Mistral 3: the published checkpoints
      |language_model\.layers             # the text model inside a multimodal one
      |model\.layers                      # Llama, Gemma, Qwen, Mistral: text-only
      |layers                             # the same without a language-model head
      |(?:transformer\.)?h                # GPT-2
      |gpt_neox\.layers                   # GPT-NeoX, Pythia
    )\.(?P<layer>\d+)\.""",
    re.VERBOSE,
)


def decoder_layer(tensor_name: str) -> int | None:
    """Index of the text decoder layer that owns ``tensor_name``, or None.

    None means embeddings, final norm, head, vision tower, projector: never gated in.
    """
    match = _TEXT_DECODER_LAYER.match(tensor_name)
    return int(match["layer"]) if match else None
