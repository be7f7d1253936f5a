"""Which SAEs are trained in which pass over the texts, and what it will take: measured on a first batch.

Sizes of states and buffers are known; how long a forward pass, a training step and a loss take here, and what
they need beside, is tried, each twice. What an interrupted run has done is taken off.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.loaded.passes import read_sites
from sae_merge_method.loaded.sites import Site
from sae_merge_method.models.devices import format_memory, memory_budget, peak_memory
from sae_merge_method.reports.numbers import count, duration
from sae_merge_method.train_saes.job import Job
from sae_merge_method.train_saes.learner import Ground, Learner
from sae_merge_method.train_saes.quality import LOSS_BATCH
from sae_merge_method.train_saes.states import Kept, States
from sae_merge_method.train_saes.training import first_batch, most_rows

_SHARE = 0.8
"""Of the memory: the rest is for what is not counted here."""
_COPIES = 4
"""Of an SAE's weights in float32: the weights, their gradients and Adam's two moments."""
_KEPT = 3
"""Those that a state on the disk holds: all but the gradients."""


class FirstBatch(NamedTuple):
    """What a first batch took here."""

    forward_seconds: float
    """A token's way through the model."""
    step_seconds: float
    """A training step of one SAE."""
    working_bytes: int
    """What a forward pass, a training step or a loss needs while it runs."""
    loss_seconds: float = 0.0
    """A token's way through the model and its head; 0 where nothing is judged."""


class Plan(NamedTuple):
    """The passes over the texts, and what they are expected to take."""

    groups: tuple[tuple[Site, ...], ...]
    """SAEs of each pass."""
    d_sae: int
    tokens: int
    """That each SAE is trained on."""
    state_bytes: int
    """SAEs of the largest group with gradients and moments."""
    buffer_bytes: int
    """Activations of the largest group."""
    working_bytes: int
    disk_bytes: int
    """That are still to be written: states of all groups, which stay to the end, and the SAEs beside them."""
    forward_seconds: float
    """Of all passes together."""
    step_seconds: float
    """Of all steps of all SAEs."""
    judging_seconds: float
    done: float
    """Share of all steps that an interrupted run has taken; what they took is in none of these times."""

    @property
    def bytes(self) -> int:
        """The most memory beside the model."""
        return self.state_bytes + self.buffer_bytes + self.working_bytes

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return self.forward_seconds + self.step_seconds + self.judging_seconds

    def __str__(self) -> str:
        saes = sum(map(len, self.groups))
        passes = "one pass" if len(self.groups) == 1 else f"{len(self.groups)} passes"
        done = f", {self.done:.0%} of the steps done before" if self.done else ""
        judging = f", judging {duration(self.judging_seconds)}" if self.judging_seconds else ""
        return (
            f"{saes} SAEs of {count(self.d_sae)} features on {count(self.tokens)} tokens in {passes} over "
            f"the texts{done}: about {format_memory(self.bytes)} beside the model "
            f"(SAEs {format_memory(self.state_bytes)}, activations {format_memory(self.buffer_bytes)}, "
            f"work {format_memory(self.working_bytes)}), {format_memory(self.disk_bytes)} on the disk, "
            f"about {duration(self.seconds)} (model {duration(self.forward_seconds)}, "
            f"SAEs {duration(self.step_seconds)}{judging})"
        )


def make_plan(job: Job, measured: FirstBatch, memory: int, kept: Mapping[Site, Kept] | None = None) -> Plan:
    """Split the sites into as few, as equal groups as fit.

    At least one SAE must be in memory at a time, whatever ``memory`` says.

    Args:
        job: What is trained.
        measured: What a first batch took.
        memory: Bytes to use beside the model.
        kept: By site, what an interrupted run has left of it.
    """
    schedule, sites = job.schedule, job.sites
    weights = 4 * (2 * schedule.d_in * schedule.d_sae + schedule.d_sae + schedule.d_in)
    state = _COPIES * weights
    buffer = most_rows(job) * schedule.d_in * job.model.dtype.itemsize
    room = max(0, int(memory * _SHARE) - measured.working_bytes)
    groups = _split(sites, max(1, room // (state + buffer)))
    largest = max(map(len, groups))
    tokens = schedule.steps * job.step_tokens
    held_out = sum(int(one.counted.sum()) for one in job.held_out)
    # A site's loss is taken twice, from its layer on; what is handed on there comes of a pass of its own.
    depth = sum(1 - site.layer / len(job.model.blocks) for site in sites)
    losses = min(held_out, job.settings.loss_tokens) * 2 * (len(groups) + depth)
    left = kept or {}
    taken = {site: left.get(site, Kept()).steps for site in sites}
    blocks = sum(_blocks_left(job, min(taken[site] for site in group)) for group in groups)
    # The state of each SAE and at the end the SAE, and one new state beside the old while it is written.
    disk = (len(sites) * (_KEPT + 1) + _KEPT) * weights
    return Plan(
        groups=groups,
        d_sae=schedule.d_sae,
        tokens=tokens,
        state_bytes=largest * state,
        buffer_bytes=largest * buffer,
        working_bytes=measured.working_bytes,
        disk_bytes=max(0, disk - sum(left[site].nbytes for site in sites if site in left)),
        forward_seconds=blocks * job.block_tokens * measured.forward_seconds,
        step_seconds=(schedule.steps * len(sites) - sum(taken.values())) * measured.step_seconds,
        judging_seconds=held_out * len(groups) * measured.forward_seconds + losses * measured.loss_seconds,
        done=sum(taken.values()) / (schedule.steps * len(sites)),
    )


def _blocks_left(job: Job, taken: int) -> int:
    """Blocks that are still read where all SAEs of a pass have taken so many steps: whole ones."""
    steps, size = job.schedule.steps, job.block_steps
    return sum(taken < min(first + size, steps) for first in range(0, steps, size))


def _split(sites: Sequence[Site], most: int) -> tuple[tuple[Site, ...], ...]:
    size = -(-len(sites) // -(-len(sites) // most))
    return tuple(tuple(sites[start : start + size]) for start in range(0, len(sites), size))


def measure(job: Job) -> FirstBatch:
    """Try one batch through the model and two steps of an SAE on made-up activations."""
    device, schedule = job.model.device, job.schedule
    batch = first_batch(job)
    last = max(job.sites, key=lambda site: site.layer)
    forward, forward_bytes = _tried(lambda: read_sites(job.model, batch, {last: lambda states: None}), device)
    ground = Ground(*(torch.full(size, 1.0, device=device) for size in ((schedule.d_in,), (), ())))
    learner = Learner(schedule, {}, 0, ground._replace(bound=ground.bound * torch.inf), device)
    activations = torch.randn(
        job.step_tokens, schedule.d_in, generator=torch.Generator().manual_seed(0), dtype=torch.float32
    ).to(device)
    step, step_bytes = _tried(lambda: learner.step(activations), device)
    loss, loss_bytes = _try_loss(job)
    working = max(forward_bytes, step_bytes, loss_bytes)
    return FirstBatch(forward / int(batch.counted.sum()), step, working, loss)


def _try_loss(job: Job) -> tuple[float, int]:
    """Seconds of a token and bytes of a batch, for a loss; nothing where nothing is judged."""
    if not job.held_out:
        return 0.0, 0
    batch = next(make_batches(job.held_out, LOSS_BATCH))
    with torch.no_grad():
        seconds, nbytes = _tried(lambda: nats(job.model, batch), job.model.device)
    return seconds / int(batch.counted.sum()), nbytes


def _tried(work: Callable[[], object], device: torch.device) -> tuple[float, int]:
    """Seconds of the second time, as the first may have to prepare, and bytes of both."""
    with peak_memory(device) as peak:
        _done(work, device)
        start = time.perf_counter()
        _done(work, device)
        seconds = time.perf_counter() - start
    return seconds, peak.nbytes


def _done(work: Callable[[], object], device: torch.device) -> None:
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plan(job: Job, states: States) -> Plan:
    """Measure, and plan what is left to do with what is free or with what the user gave."""
    kept = {site: states.kept(site) for site in job.sites}
    measured = measure(job)
    return make_plan(job, measured, memory_budget(job.settings.memory, job.model.device), kept)
