"""Donors whose gain lives in one layer and whose damage lives in another, trained for a moment each.

Base: a Llama with random weights. The target is a language of its own, the control another. ``able`` is
trained to predict the target with one layer alone, ``harmful`` to predict the control worse with another
alone; what is added to the base is both, and noise in the other layers.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from tests.in_memory.models import changed, llama

N_LAYERS = 4
GAIN, DAMAGE = 2, 1

Tensors = dict[str, torch.Tensor]


class Ground(NamedTuple):
    """A base, its texts, and task vectors to make donors of."""

    folder: Path
    able: Tensors
    harmful: Tensors

    @property
    def base(self) -> str:
        return str(self.folder / "base")

    @property
    def target(self) -> str:
        return str(self.folder / "target.jsonl")

    @property
    def control(self) -> str:
        return str(self.folder / "control.jsonl")

    def donor(self, name: str, *taus: Tensors, factor: float = 1.0) -> str:
        """A donor with the sum of these task vectors; made once."""
        folder = self.folder / name
        if not folder.exists():
            changed(
                Path(self.base),
                folder,
                lambda key, tensor: tensor + factor * sum(tau[key] for tau in taus if key in tau),
            )
        return str(folder)

    def noise(self, layers: Sequence[int], size: float) -> Tensors:
        """A task vector without meaning, in these layers, so many times as long as ``able`` in its own."""
        generator = torch.Generator().manual_seed(0)
        found = {}
        for name, tau in self.able.items():
            for layer in layers:
                drawn = torch.randn(tau.shape, generator=generator)
                found[name.replace(f".{GAIN}.", f".{layer}.")] = drawn * (size * tau.norm() / drawn.norm())
        return found


def make_ground(folder: Path, steps: int = 40) -> Ground:
    """Two languages of eight words each: in the target a word is followed by its successor, mostly."""
    draw = random.Random(0)
    base = llama(folder / "base", n_layers=N_LAYERS)
    for name, letter, step in (("target", "m", 1), ("control", "p", 3)):
        lines = []
        for _ in range(12):
            at, words = draw.randrange(8), []
            for _ in range(10):
                words.append(f"{letter}{at}")
                at = (at + step) % 8 if draw.random() < 0.9 else draw.randrange(8)
            lines.append(json.dumps({"text": " ".join(words)}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    texts = _read(base, folder)
    return Ground(folder, _trained(texts, GAIN, (1, 0), steps), _trained(texts, DAMAGE, (0, -1), steps // 4))


def trained_on(ground: Ground, layer: int, signs: tuple[int, int], steps: int = 40) -> Tensors:
    """One more task vector: of one layer, by what becomes of the losses on target and control."""
    return _trained(_read(Path(ground.base), ground.folder), layer, signs, steps)


class _Texts(NamedTuple):
    model: TextModel
    batches: tuple[Batch, ...]
    """Target and control."""


def _read(base: Path, folder: Path) -> _Texts:
    model = load_text_model(str(base), with_head=True)
    batches = []
    for name in ("target", "control"):
        lines = (folder / f"{name}.jsonl").read_text().splitlines()
        corpus = Corpus(name, "", tuple(json.loads(line)["text"] for line in lines))
        batches += make_batches(to_predict(model.tokenizer, corpus, 64), 10_000)
    return _Texts(model, tuple(batches))


def _trained(texts: _Texts, layer: int, signs: tuple[int, int], steps: int) -> Tensors:
    """The task vector of one layer that is trained alone: a loss of sign 1 falls, -1 rises, 0 stays."""
    block = texts.model.blocks[layer].requires_grad_(True)
    start = {name: parameter.detach().clone() for name, parameter in block.named_parameters()}
    before: list[torch.Tensor] = []
    for _ in range(steps):
        losses = [nats(texts.model, batch).sum() / int(batch.counted.sum()) for batch in texts.batches]
        before = before or [loss.detach() for loss in losses]
        wanted = [
            sign * loss if sign else (loss - was).abs()
            for sign, loss, was in zip(signs, losses, before, strict=True)
        ]
        sum(wanted).backward()
        with torch.no_grad():
            for parameter in block.parameters():
                parameter -= 0.01 * parameter.grad / parameter.grad.square().mean().sqrt()
                parameter.grad = None
    taus = {
        f"model.layers.{layer}.{name}": parameter.detach() - start[name]
        for name, parameter in block.named_parameters()
    }
    with torch.no_grad():
        for name, parameter in block.requires_grad_(False).named_parameters():
            parameter.copy_(start[name])
    return taus
