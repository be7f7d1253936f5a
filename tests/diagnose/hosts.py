"""Tiny real hosts for the stethoscope: a word tokenizer, models with legible residual streams, SAEs.

The models' blocks write nothing, and a word's embedding is its own axis: after every block the
residual stream says which word stands there, and an SAE made by hand reads exactly what it is
meant to.
"""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
MATHS = tuple(f"m{number}" for number in range(8))
PROSE = tuple(f"p{number}" for number in range(8))
COMMON = tuple(f"c{number}" for number in range(8))
WORDS = (*SPECIAL, *MATHS, *PROSE, *COMMON)
D_MODEL = 32
D_SAE = 64
N_LAYERS = 4


def save_tokenizer(folder: Path, *, adds_bos: bool = True) -> None:
    """A word a token; ``<bos>`` before every document, unless it is not added."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", 2)]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
    ).save_pretrained(folder)


def text_settings(n_layers: int = N_LAYERS) -> dict[str, object]:
    return {
        "vocab_size": D_MODEL,
        "hidden_size": D_MODEL,
        "intermediate_size": 32,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "sliding_window": 16,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }


def random_gemma3(folder: Path, seed: int = 0) -> Path:
    """A Gemma 3 text model with random weights."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(seed)
    Gemma3ForCausalLM(Gemma3TextConfig(**text_settings())).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def legible_gemma3(folder: Path) -> Path:
    """A Gemma 3 text model whose residual stream is the word's own axis, times sqrt(d_model)."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    model = Gemma3ForCausalLM(Gemma3TextConfig(**text_settings()))
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(D_MODEL))
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_sae(
    folder: Path,
    layer: int,
    encoder: torch.Tensor | None = None,
    *,
    hook: str | None = "",
    kind: str = "jumprelu",
    d_in: int = D_MODEL,
    **config: object,
) -> Path:
    """An SAE in SAELens' format; random where no ``encoder`` (d_in, d_sae) is given."""
    import sae_lens
    from sae_lens.saes.sae import SAEMetadata

    names = {"jumprelu": "JumpReLU", "standard": "Standard", "topk": "TopK", "gated": "Gated"}
    name = names.get(kind, kind)
    metadata = SAEMetadata(hook_name=f"blocks.{layer}.hook_resid_post" if hook == "" else hook)
    settings = getattr(sae_lens, f"{name}SAEConfig")(d_in=d_in, d_sae=D_SAE, metadata=metadata, **config)
    torch.manual_seed(layer)
    sae = getattr(sae_lens, f"{name}SAE")(settings)
    if encoder is None:
        with torch.no_grad():
            for parameter in sae.parameters():
                parameter.add_(0.05 * torch.rand_like(parameter))
    else:
        sae.W_enc.data = encoder.clone()
        sae.W_dec.data = torch.linalg.pinv(encoder)
    sae.save_model(folder)
    return folder


def save_raw(
    folder: Path,
    layer: int,
    encoder: torch.Tensor | None = None,
    *,
    d_in: int = D_MODEL,
    d_sae: int = 48,
    **config: object,
) -> Path:
    """An SAE in Gemma Scope 2's layout, which no test has to import SAELens for.

    Random where no ``encoder`` (d_in, d_sae) is given; with one, every feature above zero passes.
    """
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(layer)
    folder.mkdir(parents=True)
    if encoder is None:
        tensors = {
            "w_enc": torch.randn(d_in, d_sae, generator=random),
            "w_dec": torch.randn(d_sae, d_in, generator=random),
            "b_enc": torch.randn(d_sae, generator=random),
            "b_dec": torch.randn(d_in, generator=random),
            "threshold": torch.randn(d_sae, generator=random) + 1,
        }
    else:
        d_in, d_sae = encoder.shape
        tensors = {"w_enc": encoder.clone(), "w_dec": torch.linalg.pinv(encoder).contiguous()}
        tensors |= {"b_enc": torch.zeros(d_sae), "b_dec": torch.zeros(d_in), "threshold": torch.zeros(d_sae)}
    save_file(tensors, folder / "params.safetensors")
    hook = f"model.layers.{layer}.output"
    settings = {"architecture": "jump_relu", "model_name": "gemma-v3-4b-it", "hf_hook_point_in": hook}
    (folder / "config.json").write_text(json.dumps(settings | config))
    return folder


def planted_encoder(n_target: int) -> torch.Tensor:
    """``n_target`` features that fire on maths words only, the others on every word."""
    encoder = torch.zeros(D_MODEL, D_SAE)
    encoder[len(SPECIAL) : len(WORDS), n_target:] = 1 / D_MODEL**0.5
    encoder[len(SPECIAL) : len(SPECIAL) + len(MATHS), :n_target] = 3 / D_MODEL**0.5
    return encoder


def sentences(words: Sequence[str], count: int, seed: int, length: int = 20) -> list[str]:
    """Documents of ``words`` and common ones, half and half, of different lengths."""
    source = random.Random(seed)
    pick = (words, COMMON)
    return [
        " ".join(source.choice(source.choice(pick)) for _ in range(source.randint(length // 2, length)))
        for _ in range(count)
    ]


def write_jsonl(path: Path, documents: Iterable[str]) -> Path:
    path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    return path


def save_planted(folder: Path, n_target: Sequence[int]) -> str:
    """SAEs of so many target-only features, a layer each; their place."""
    for layer, own in enumerate(n_target):
        save_raw(folder / f"layer_{layer}", layer, planted_encoder(own))
    return str(folder / "layer_{layer}")
