"""Training base and donor: Muon for the matrices of the layers, AdamW for the rest, unless told otherwise.

A batch may be learned from in parts, each by a thread of its own: such small models keep no two threads of
PyTorch busy, and the bits do not depend on how many threads there are.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from sae_merge_method.miniature.muon import StackedMuon
from sae_merge_method.miniature.texts import Document

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    Loss = Callable[[PreTrainedModel, list["Example"]], torch.Tensor]
    """Of a model on examples: the mean over the tokens that count."""

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
    parts: int = 1
    """Parts of a batch that may be learned from side by side; their gradients are added in a fixed order."""

    def counted(self, examples: list[Example]) -> int:
        """Tokens that carry loss."""
        return sum(len(e.ids) - (e.prompt_length if self.completion_only else 1) for e in examples)


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
    workers: int = 1,
    loss: "Loss | None" = None,
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
        workers: Parts of a batch that are worked on at once, with so many threads each; the bits stay.
        loss: Instead of :func:`next_token_loss`.
    """
    loss = loss or partial(next_token_loss, completion_only=schedule.completion_only)
    torch.set_num_threads(threads)
    steps = batches(examples, schedule.documents_per_step, seed)
    model.train()
    with (
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool,
        tqdm(total=sum(len(e.ids) for e in examples), desc=title, unit="tok", disable=None) as bar,
    ):
        if optimizers is None:
            optimizers = _optimizers(model, pool)
        for number, batch in enumerate(steps):
            rate = schedule.learning_rate * _cosine(number, len(steps), schedule.warm_up)
            lost = _learn_from(model, batch, schedule, pool, loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
                optimizer.zero_grad()
            bar.update(sum(len(e.ids) for e in batch))
            if number % 50 == 0:
                bar.set_postfix(loss=f"{lost.item():.2f}")
    model.eval()


def _learn_from(
    model: "PreTrainedModel",
    batch: list[Example],
    schedule: Schedule,
    pool: ThreadPoolExecutor,
    loss_of: "Loss",
) -> torch.Tensor:
    """Give the parameters a batch's gradients, and return its loss."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    counted = schedule.counted(batch)

    def learn_from(part: list[Example]) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
        loss = loss_of(model, part) * (schedule.counted(part) / counted)
        return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

    # Every so many-th: a batch is sorted by length, and the parts are to take equally long.
    parts = [batch[first :: schedule.parts] for first in range(min(schedule.parts, len(batch)))]
    (loss, gradients), *others = pool.map(learn_from, parts)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    for more, further in others:
        loss += more
        for parameter, gradient in zip(parameters, further, strict=True):
            if gradient is not None and parameter.grad is not None:
                parameter.grad += gradient
    return loss


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


def pad(batch: list[Example]) -> torch.Tensor:
    """Token ids, one row an example, right-padded with id 0: batch x longest."""
    longest = max(len(example.ids) for example in batch)
    return torch.tensor([(*e.ids, *(0,) * (longest - len(e.ids))) for e in batch])


def next_token_loss(
    model: "PreTrainedModel", batch: list[Example], completion_only: bool = False
) -> torch.Tensor:
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


def _optimizers(model: "PreTrainedModel", pool: ThreadPoolExecutor) -> list[torch.optim.Optimizer]:
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
    muon = StackedMuon(matrices, each=pool.map)
    if not others:
        return [muon]
    return [muon, torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)]


def _cosine(step: int, steps: int, warm_up: float) -> float:
    """Linear rise, then half a cosine down to zero."""
    rise = max(1, round(warm_up * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
