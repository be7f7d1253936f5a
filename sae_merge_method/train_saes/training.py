"""SAEs of several sites trained side by side: one forward pass over the texts feeds them all.

The texts are read in blocks. A block's activations fill a buffer at every site, are shuffled, and are learned
from in batches; then the next block takes their place. So between two blocks nothing is left but the SAEs'
own states. All sites see the same tokens in the same order, each learns by itself, and what comes of one
does not depend on which others are trained with it. On one kind of device and with one number of threads
the same inputs give the same bytes.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import ModelError
from sae_merge_method.files.interrupts import interrupts_wait
from sae_merge_method.loaded.passes import read_sites
from sae_merge_method.loaded.sites import Site
from sae_merge_method.loaded.text_model import TextModel
from sae_merge_method.train_saes.job import Job
from sae_merge_method.train_saes.learner import Ground, Learner, take_ground
from sae_merge_method.train_saes.states import States
from sae_merge_method.train_saes.texts import Picked, blocks, mixed

_SAVING_SHARE = 0.05
"""Most of the time that may go into saving states."""


class Buffers:
    """Activations of one block of documents at several sites.

    Args:
        model: Whose activations.
        sites: Where.
        rows: The most that one block has.
    """

    def __init__(self, model: TextModel, sites: Sequence[Site], rows: int) -> None:
        self._model = model
        self.rows = 0
        self._held = {
            site: torch.empty(rows, model.d_model, dtype=model.dtype, device=model.device) for site in sites
        }

    def fill(self, documents: Sequence[Document], batch_tokens: int) -> None:
        """Read documents in one forward pass a batch, and keep what their counted tokens give.

        Raises:
            ModelError: Something of it is NaN or infinite: one such token would be in all weights of an SAE.
        """
        self.rows = 0
        for batch in make_batches(documents, batch_tokens):
            places = torch.from_numpy(np.flatnonzero(batch.counted)).to(self._model.device)
            read_sites(self._model, batch, {site: partial(self._keep, site, places) for site in self._held})
            self.rows += len(places)
        self._require_numbers()

    def _keep(self, site: Site, places: torch.Tensor, states: torch.Tensor) -> None:
        # By places, not by a mask: how many a mask holds is not known without waiting for the device.
        rows = states.flatten(0, 1).index_select(0, places)
        self._held[site][self.rows : self.rows + len(places)] = rows

    def _require_numbers(self) -> None:
        norms = [torch.linalg.vector_norm(self.all(site), dim=1, dtype=torch.float32) for site in self._held]
        # The device is waited for once a block.
        wrong = torch.stack([(~norm.isfinite()).sum() for norm in norms]).tolist()
        for site, tokens in zip(self._held, wrong, strict=True):
            if tokens:
                raise ModelError(f"what {site} puts out is NaN or infinite at {tokens} of {self.rows} tokens")

    def all(self, site: Site) -> torch.Tensor:
        """(rows, d) what was read at a site."""
        return self._held[site][: self.rows]

    def take(self, site: Site, rows: torch.Tensor) -> torch.Tensor:
        """(B, d) some of it."""
        return self._held[site].index_select(0, rows)


class Block(NamedTuple):
    """Documents that are read together, and the steps that are taken on them."""

    number: int
    picked: tuple[Picked, ...]
    first: int
    """The first step."""
    last: int
    """The first step that is not taken any more."""

    @property
    def documents(self) -> tuple[Document, ...]:
        """Without the corpora that they are of."""
        return tuple(one.document for one in self.picked)


def most_rows(job: Job) -> int:
    """Rows of a buffer: a block, and what its last document has beyond it."""
    longest = max(int(one.counted.sum()) for text in job.texts for one in text.training)
    return job.block_tokens + longest


def train_group(job: Job, sites: Sequence[Site], states: States, bar: Any) -> None:
    """Train the SAEs of some sites to the end, from wherever their states are; the states are kept.

    Args:
        job: What is trained.
        sites: Those that are in memory together.
        states: Where states are kept.
        bar: Told of tokens done.
    """
    device = job.model.device
    learners: dict[Site, Learner] = {}
    for site in sites:
        state = states.load(site, device)
        if state is not None:
            learners[site] = restored(job, site, state)
    buffers, saved, took = Buffers(job.model, sites, most_rows(job)), time.monotonic(), 0.0
    try:
        for block in blocks_of(job):
            if all(site in learners and learners[site].step_count >= block.last for site in sites):
                bar.update((block.last - block.first) * job.step_tokens)
                continue
            buffers.fill(block.documents, job.settings.batch_tokens)
            for site in sites:
                if site not in learners:  # of the first block
                    learners[site] = _new(job, site, take_ground(buffers.all(site)))
            _learn(job, block, buffers, learners, bar)
            wait = max(60 * job.settings.save_every, took / _SAVING_SHARE)
            began = time.monotonic()
            if block.last == job.schedule.steps or began - saved >= wait:
                _save(states, learners)
                saved = time.monotonic()
                took = saved - began
    except KeyboardInterrupt:
        _save(states, learners)
        raise


def blocks_of(job: Job) -> Iterator[Block]:
    """The whole training, block by block."""
    stream = blocks(mixed(job.texts, job.settings.seed), job.block_tokens)
    count = -(-job.schedule.steps // job.block_steps)
    for number, picked in enumerate(islice(stream, count)):
        first = number * job.block_steps
        last = min(first + job.block_steps, job.schedule.steps)
        yield Block(number, picked, first, last)


def _learn(job: Job, block: Block, buffers: Buffers, learners: Mapping[Site, Learner], bar: Any) -> None:
    """Take a block's steps, those that each SAE has not taken yet."""
    shuffle = torch.Generator().manual_seed(job.settings.seed * 1_000_003 + block.number)
    order = torch.randperm(buffers.rows, generator=shuffle).to(job.model.device)
    for step in range(block.first, block.last):
        rows = order[(step - block.first) * job.step_tokens :][: job.step_tokens]
        for site, learner in learners.items():
            if learner.step_count <= step:
                with interrupts_wait():  # a state is of a whole number of steps
                    learner.step(buffers.take(site, rows))
        bar.update(job.step_tokens)


def _new(job: Job, site: Site, ground: Ground) -> Learner:
    return Learner(job.schedule, job.metadata(site), job.seed(site), ground, job.model.device)


def restored(job: Job, site: Site, state: Mapping[str, torch.Tensor]) -> Learner:
    """An SAE in training as its state says."""
    ground = Ground(*(state[f"ground.{name}"] for name in Ground._fields))
    learner = _new(job, site, ground)
    learner.restore(state)
    return learner


def _save(states: States, learners: Mapping[Site, Learner]) -> None:
    with interrupts_wait():
        states.save({site: learner.state() for site, learner in learners.items()})


def first_batch(job: Job) -> Batch:
    """The batch that is read first."""
    return next(make_batches(next(blocks_of(job)).documents, job.settings.batch_tokens))
