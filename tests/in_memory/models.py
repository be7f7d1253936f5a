"""Small real models with a tokenizer, and donors that are near them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.loaded.text_model import TextModel
from tests.diagnose.hosts import save_tokenizer

VOCABULARY = 32
TEXTS = ("m1 m2 m3 p1 c1", "p1 p2 c4", "m7 c1 c2 c3 p5 p6 m1", "c1 m1")


def llama(
    folder: Path, seed: int = 0, *, tied: bool = False, n_layers: int = 3, dtype: str = "float32"
) -> Path:
    """A Llama with random weights of a useful size, and a tokenizer that puts <bos> in front."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=n_layers,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=tied,
        bos_token_id=2, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.25)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def changed(base: Path, folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Path:
    """A donor: the base with ``change`` made to every tensor."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(base, folder)
    file = folder / "model.safetensors"
    tensors = {
        name: change(name, tensor).to(tensor.dtype).contiguous() for name, tensor in load_file(file).items()
    }
    save_file(tensors, file, metadata={"format": "pt"})
    return folder


def near(base: Path, folder: Path, size: float = 0.05, seed: int = 1, only: Sequence[str] = ("",)) -> Path:
    """A donor at a random small distance, in the tensors whose names hold one of ``only``."""
    generator = torch.Generator().manual_seed(seed)

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(tensor.shape, generator=generator) * size
        return tensor.float() + noise if any(sign in name for sign in only) else tensor

    return changed(base, folder, change)


def batch_of(model: TextModel, texts: Sequence[str] = TEXTS) -> Batch:
    """All texts in one batch, to be predicted whole."""
    (batch,) = make_batches(to_predict(model.tokenizer, Corpus("texts", "", tuple(texts)), 64), 10_000)
    return batch


def loss_of(model: TextModel, batch: Batch) -> Callable[[], torch.Tensor]:
    return lambda: nats(model, batch).sum() / int(batch.counted.sum())


def bits(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Every parameter's bytes."""
    return {
        name: parameter.detach().contiguous().view(torch.uint8).numpy().copy()
        for name, parameter in module.named_parameters()
    }


def opened(folder: Path, *donors: str, **options: Any) -> AbstractContextManager[EditedModel]:
    """The base of the folder, loaded with donors of it."""
    return open_edited(
        str(folder / "base"),
        [str(folder / donor) for donor in donors or ("donor",)],
        beside=folder,
        **options,
    )
