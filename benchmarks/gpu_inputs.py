"""Models, SAEs and texts of random weights and words, shaped as Gemma 3 4B's or tiny: what a GPU is given."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import yaml

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Shape(NamedTuple):
    """Of the model, its SAEs and the texts."""

    layers: int
    width: int
    mlp: int
    heads: int
    kv_heads: int
    head: int
    words: int
    features: int
    documents: int
    """Of each text."""
    length: int
    """Words of a document."""
    problems: int
    answer: int
    """Tokens to generate for each."""


GEMMA_3_4B = Shape(34, 2560, 10240, 8, 4, 256, 262_144, 16_384, 200, 400, 64, 128)
TINY = Shape(4, 64, 128, 2, 1, 32, 512, 256, 24, 24, 24, 4)
ACTIVE = 50
"""Features that are active at a token."""


def word_tokenizer(count: int) -> "PreTrainedTokenizerFast":
    """One of so many words, w4 to the last, four of them special."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # No word begins with a special token's name: tokenizers find those within words, too.
    special = {"<unk>": 0, "<bos>": 1, "<eos>": 2, "<pad>": 3}
    words = {**special, **{f"w{number}": number for number in range(len(special), count)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def build_models(work: Path, shape: Shape, device: str) -> None:
    """Base and donor with a word a token, in bfloat16."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    tokenizer = word_tokenizer(shape.words)
    config = Gemma3TextConfig(
        vocab_size=shape.words, hidden_size=shape.width, intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.head, max_position_embeddings=2048, bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Gemma3ForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    for name in ("base", "donor"):
        model.save_pretrained(work / name)
        tokenizer.save_pretrained(work / name)
        with torch.no_grad():
            for layer in model.model.layers:
                for parameter in layer.parameters():
                    parameter += 0.05 * parameter.std() * torch.randn_like(parameter)


def build_saes(work: Path, shape: Shape, device: str) -> None:
    """Gemma Scope 2's layout, thresholds set by what the model's activations give."""
    from safetensors.torch import save_file

    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.tokens import Document
    from sae_merge_method.loaded.residual_stream import forward
    from sae_merge_method.loaded.text_model import load_text_model

    model = load_text_model(str(work / "base"), device=device)
    ids = np.random.default_rng(0).integers(4, shape.words, 64)
    (batch,) = make_batches([Document(ids, np.arange(64) > 0)], 64)

    def build(residual: torch.Tensor, layer: int) -> None:
        folder = work / f"saes/layer_{layer}"
        folder.mkdir(parents=True)
        chance = torch.Generator(residual.device).manual_seed(layer)
        drawn = torch.randn(shape.features, shape.width, generator=chance, device=residual.device)
        w_dec = torch.nn.functional.normalize(drawn)
        inputs = residual.float() @ w_dec.T
        cut = torch.quantile(
            inputs.flatten()[: 1 << 20], 1 - min(ACTIVE, shape.features // 4) / shape.features
        )
        tensors = {
            "w_enc": w_dec.T.contiguous(), "w_dec": w_dec, "b_enc": torch.zeros(shape.features),
            "b_dec": torch.zeros(shape.width), "threshold": cut.repeat(shape.features),
        }  # fmt: skip
        save_file(
            {name: tensor.bfloat16().cpu() for name, tensor in tensors.items()}, folder / "params.safetensors"
        )
        config = {"architecture": "jump_relu", "hf_hook_point_in": f"model.layers.{layer}.output"}
        (folder / "config.json").write_text(json.dumps(config))

    forward(model, batch, {layer: partial(build, layer=layer) for layer in range(shape.layers)})


def write_texts(work: Path, shape: Shape) -> None:
    """Texts of three kinds, problems with answers, and a task that has answers generated."""
    random = np.random.default_rng(1)

    def words(count: int, low: int, high: int) -> str:
        return " ".join(f"w{word}" for word in random.integers(low, high, count))

    half = shape.words // 2
    for name, low, high in (("target", 4, half), ("control", half, shape.words), ("general", 4, shape.words)):
        lines = (json.dumps({"text": words(shape.length, low, high)}) for _ in range(shape.documents))
        (work / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    problems = (
        json.dumps({"prompt": words(shape.length // 4, 4, half), "completion": f" {words(2, 4, half)}"})
        for _ in range(shape.problems)
    )
    (work / "problems.jsonl").write_text("\n".join(problems) + "\n")
    task = {
        "task": "answers", "dataset_path": "json", "test_split": "test", "num_fewshot": 0,
        "dataset_kwargs": {"data_files": {"test": str(work / "problems.jsonl")}},
        "output_type": "generate_until", "doc_to_text": "{{prompt}}", "doc_to_target": "{{completion}}",
        "generation_kwargs": {"max_gen_toks": shape.answer, "until": ["<eos>"], "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }  # fmt: skip
    (work / "tasks").mkdir()
    (work / "tasks" / "answers.yaml").write_text(yaml.safe_dump(task))
