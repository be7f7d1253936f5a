"""A model and SAEs of random weights to encode with: of middling size, and as sparse as trained ones."""

import json
from pathlib import Path

import torch


def build_model(folder: Path, layers: int, d_model: int) -> None:
    """A random Gemma 3 of middling size with a tokenizer that is never asked."""
    from tokenizers import Tokenizer, models
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=4096,
        hidden_size=d_model,
        intermediate_size=4 * d_model,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=128,
        max_position_embeddings=2048,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)


def build_saes(folder: Path, layers: int, width: int, d_model: int) -> None:
    """SAEs in Gemma Scope 2's layout whose thresholds let about 50 features a token pass."""
    from safetensors.torch import save_file

    for layer in range(layers):
        place = folder / f"layer_{layer}"
        place.mkdir(parents=True)
        random = torch.Generator().manual_seed(layer)
        w_enc = torch.randn(d_model, width, generator=random) / d_model**0.5
        tensors = {
            "w_enc": w_enc,
            "w_dec": w_enc.T.contiguous(),
            "b_enc": torch.zeros(width),
            "b_dec": torch.zeros(d_model),
            "threshold": torch.full((width,), 1.0),
        }
        save_file(tensors, place / "params.safetensors")
        config = {"architecture": "jump_relu", "hf_hook_point_in": f"model.layers.{layer}.output"}
        (place / "config.json").write_text(json.dumps(config))
