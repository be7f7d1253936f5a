"""Training base and donor: Muon for the matrices of the layers, AdamW for the rest, unless told otherwise."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from sae_merge_method.miniature.texts import Document

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_TINY = 1e-7


class StackedMuon(torch.optim.Optimizer):
    """Nesterov momentum with every step's singular values pushed to about one.

    Args:
        matrices: Two-dimensional parameters only.
        lr: Step size; scaled by ``0.2 sqrt(longer side)``, so that AdamW's rates fit (Liu et al., 2025).
        momentum: Decay of the running gradient.
    """

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float = 1e-3, momentum: float = 0.95
    ) -> None:
        """Nothing moves before the first step."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for shape, matrices in by_shape.items():
                gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
                state = self.state[matrices[0]]
                if "running" not in state:
                    state["running"] = torch.zeros_like(gradients)
                running = state["running"].lerp_(gradients, 1 - group["momentum"])
                updates = orthogonalise(gradients.lerp(running, group["momentum"]))
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.sub_(update, alpha=scale)


def orthogonalise(stack: torch.Tensor) -> torch.Tensor:
    """Push the singular values of each matrix towards one by five Newton-Schulz steps.

    Args:
        stack: count x rows x columns, float32.

    Returns:
        The same shape; singular values end between about 0.5 and 1.5, singular vectors stay.
    """
    a, b, c = _COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x: torch.Tensor = stack.mT if tall else stack
    x = x / x.flatten(1).norm(dim=1).clamp(min=_TINY)[:, None, None]
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


IGNORED = -100
"""Label of a position that carries no loss (PyTorch's convention)."""

POOL = 8
"""Batches among which examples are sorted by length."""


@dataclass(frozen=True)
class Example:
    """One tokenized document: ``<bos> prompt completion <eos>``."""

    ids: tuple[int, ...]
    prompt_length: int
    """Leading tokens that belong to ``<bos>`` and the prompt."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    documents_per_step: int
    learning_rate: float
    warm_up: float
    completion_only: bool
    """Whether prompts carry no loss."""


def tokenize(tokenizer: "PreTrainedTokenizerFast", documents: list[Document]) -> list[Example]:
    """Tokenize prompts and completions apart, as generation will see them."""
    prompts = tokenizer([d.prompt for d in documents], add_special_tokens=False).input_ids
    completions = tokenizer([d.completion for d in documents], add_special_tokens=False).input_ids
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    return [
        Example((bos, *prompt, *completion, eos), 1 + len(prompt))
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def take_tokens(
    tokenizer: "PreTrainedTokenizerFast", stream: Iterator[Document], budget: int
) -> list[Example]:
    """As many examples of ``stream`` as hold ``budget`` tokens."""
    taken: list[Example] = []
    while budget > 0:
        for example in tokenize(tokenizer, [next(stream) for _ in range(256)]):
            if budget > 0:
                taken.append(example)
                budget -= len(example.ids)
    return taken


def train(
    model: "PreTrainedModel",
    examples: list[Example],
    schedule: Schedule,
    seed: int,
    title: str,
    *,
    optimizers: list[torch.optim.Optimizer] | None = None,
    threads: int = 1,
) -> None:
    """Train ``model`` in place, one pass over ``examples`` in a seeded order.

    Parameters that do not require a gradient stay as they are.

    Args:
        model: Of transformers, with its decoder at ``model`` and its head at ``lm_head``.
        examples: What it is trained on.
        schedule: How long and how fast.
        seed: Of the order.
        title: What the progress bar says.
        optimizers: What moves the parameters; by default Muon and AdamW, as the module says.
        threads: Of PyTorch, from here on. Another number may change last bits.
    """
    torch.set_num_threads(threads)
    steps = batches(examples, schedule.documents_per_step, seed)
    if optimizers is None:
        optimizers = _optimizers(model)
    model.train()
    with tqdm(total=sum(len(e.ids) for e in examples), desc=title, unit="tok", disable=None) as bar:
        for number, batch in enumerate(steps):
            rate = schedule.learning_rate * _cosine(number, len(steps), schedule.warm_up)
            loss = next_token_loss(model, batch, schedule.completion_only)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
                optimizer.zero_grad()
            bar.update(sum(len(e.ids) for e in batch))
            if number % 50 == 0:
                bar.set_postfix(loss=f"{loss.item():.2f}")
    model.eval()


def batches(examples: list[Example], size: int, seed: int) -> list[list[Example]]:
    """Shuffle, then group examples of like length, so that little of a batch is padding.

    Lengths are matched only within a pool of a few batches: over all examples, every batch would
    hold one kind of text.
    """
    rng = Random(f"batches {seed}")
    order = rng.sample(examples, len(examples))
    made: list[list[Example]] = []
    for at in range(0, len(order), size * POOL):
        pool = sorted(order[at : at + size * POOL], key=lambda example: len(example.ids))
        cut = [pool[start : start + size] for start in range(0, len(pool), size)]
        rng.shuffle(cut)
        made += cut
    return made


def pad(batch: list[Example]) -> "torch.Tensor":
    """Token ids, one row an example, right-padded with id 0: batch x longest."""

    longest = max(len(example.ids) for example in batch)
    return torch.tensor([(*e.ids, *(0,) * (longest - len(e.ids))) for e in batch])


def next_token_loss(
    model: "PreTrainedModel", batch: list[Example], completion_only: bool = False
) -> "torch.Tensor":
    """Mean next-token cross-entropy in nats over the positions that count."""

    ids = pad(batch).to(model.device)
    labels = ids.clone()
    for row, example in enumerate(batch):
        labels[row, len(example.ids) :] = IGNORED
        if completion_only:
            labels[row, : example.prompt_length] = IGNORED
    # Right padding under causal attention: no real position sees a padded one, so no mask is needed.
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    counted = labels[:, 1:] != IGNORED
    # Only counted positions go through the head: half of all time would be spent on the others.
    logits = model.lm_head(hidden[counted])
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:][counted])


def _optimizers(model: "PreTrainedModel") -> list["torch.optim.Optimizer"]:

    from sae_merge_method.miniature.training import StackedMuon

    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
    muon = StackedMuon(matrices)
    if not others:
        return [muon]
    return [muon, torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)]


def _cosine(step: int, steps: int, warm_up: float) -> float:
    """Linear rise, then half a cosine down to zero."""
    rise = max(1, round(warm_up * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
