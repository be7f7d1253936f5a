"""One SAE in training: a step, its state as tensors, and the SAE that comes of it.

Each learner stands alone: what it learns depends on its own activations and settings, never on which others
are trained beside it. Where the activations come from, and where a state is kept, is others' business.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from sae_lens import BatchTopKTrainingSAEConfig
from sae_lens.saes.sae import SAEMetadata, TrainStepInput

from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.files.writing import canonical_json, write_text
from sae_merge_method.train_saes.unsynced import UnsyncedSae

_WARM_UP, _DECAY = 0.05, 0.2
"""Shares of the steps over which the learning rate rises, and falls to a tenth."""
_LAST_RATE = 0.1
_LOOKED_AT = 25
"""Steps between two questions whether any feature is dead: each waits for the device."""
_CONFIG = "cfg.json"


class Schedule(NamedTuple):
    """How an SAE learns: numbers that all SAEs of a run share."""

    d_in: int
    """Width of the activations."""
    d_sae: int
    """Features."""
    k: int
    """Features that are active at a token, on average."""
    steps: int
    """Training steps."""
    learning_rate: float
    """Highest learning rate of Adam."""
    dead_after: int
    """Steps without firing after which a feature counts as dead, and is revived."""
    revive: bool = True
    """Whether dead features are made to explain what the others leave over."""

    def rate(self, step: int) -> float:
        """The learning rate of a step: up, level, down to a tenth."""
        up = min(1.0, (step + 1) / max(1, round(self.steps * _WARM_UP)))
        falling = max(1, round(self.steps * _DECAY))
        down = min(1.0, (self.steps - step) / falling)
        return self.learning_rate * up * (_LAST_RATE + (1 - _LAST_RATE) * down)

    @property
    def threshold_rate(self) -> float:
        """How fast the saved threshold follows the batches': SAELens' rate, more where the steps are few."""
        return min(0.5, max(0.01, 20 / self.steps))


class Ground(NamedTuple):
    """What is known of the activations at one place before training begins."""

    mean: torch.Tensor
    """(d,) their mean; the decoder's bias begins there."""
    norm: torch.Tensor
    """() their mean norm, which is brought to the square root of d, as SAELens does."""
    bound: torch.Tensor
    """() norm above which a token is an outlier: a sink, which would rule the loss."""


class Dead(NamedTuple):
    """How many features are dead, by when they fired last."""

    now: int
    """Have not fired in the last ``dead_after`` steps."""
    revived: int
    """Were dead at some time, and fire again."""


class Learner:
    """One SAE in training.

    Args:
        schedule: How it learns.
        metadata: What SAELens' config says of the model, the place and the texts.
        seed: Of its first weights.
        ground: What is known of the activations.
        device: Where it is trained.
    """

    def __init__(
        self,
        schedule: Schedule,
        metadata: Mapping[str, object],
        seed: int,
        ground: Ground,
        device: torch.device,
    ) -> None:
        self.schedule, self.ground, self.step_count = schedule, ground, 0
        config = BatchTopKTrainingSAEConfig(
            d_in=schedule.d_in,
            d_sae=schedule.d_sae,
            k=schedule.k,
            topk_threshold_lr=schedule.threshold_rate,
            normalize_activations="expected_average_only_in",
            metadata=SAEMetadata(**metadata),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # Made on the CPU, so that the first weights are the same whatever trains it.
            self.sae = UnsyncedSae(config)
        if device.type == "mps":  # which knows no float64
            self.sae.topk_threshold = self.sae.topk_threshold.float()
        self.sae.to(device)
        self._scale = schedule.d_in**0.5 / ground.norm
        with torch.no_grad():
            self.sae.b_dec.copy_(ground.mean * self._scale)
        self._optimizer = torch.optim.Adam(self.sae.parameters(), fused=True)
        self._silent = torch.zeros(schedule.d_sae, dtype=torch.int64, device=device)
        self._died = torch.zeros(schedule.d_sae, dtype=torch.bool, device=device)
        self._any_dead = False
        self.outliers = torch.zeros((), dtype=torch.int64, device=device)
        for parameter in self.sae.parameters():
            self._optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def step(self, activations: torch.Tensor) -> None:
        """Learn from a batch of activations (B, d), of any precision; nothing in it waits for the device."""
        kept, outliers = without_outliers(activations.float(), self.ground.bound)
        self.outliers += outliers
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step_count)
        dead = self._silent >= self.schedule.dead_after
        if self.step_count % _LOOKED_AT == 0:
            self._any_dead = self.schedule.revive and bool(dead.any())
        output = self.sae.training_forward_pass(
            TrainStepInput(
                sae_in=kept * self._scale,
                coefficients={},
                dead_neuron_mask=dead if self._any_dead else None,
                n_training_steps=self.step_count,
                is_logging_step=False,
            )
        )
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.sae.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            self._died |= dead
            self._silent = torch.where((output.feature_acts > 0).any(dim=0), 0, self._silent + 1)
        self.step_count += 1

    def dead(self) -> Dead:
        """How many features are dead now, and how many were."""
        dead = self._silent >= self.schedule.dead_after
        return Dead(int(dead.sum()), int((self._died & ~dead).sum()))

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that the next step depends on."""
        moments = {
            f"adam.{name}.{part}": tensor
            for name, parameter in self.sae.named_parameters()
            for part, tensor in self._optimizer.state[parameter].items()
        }
        return {
            **{f"sae.{name}": tensor.detach() for name, tensor in self.sae.state_dict().items()},
            **moments,
            **{f"ground.{name}": tensor for name, tensor in self.ground._asdict().items()},
            "silent": self._silent,
            "died": self._died,
            "any_dead": torch.tensor(self._any_dead),
            "outliers": self.outliers,
            "step": torch.tensor(self.step_count),
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from where :meth:`state` was taken; of a learner that was made in the same way."""
        with torch.no_grad():
            for name, tensor in self.sae.state_dict().items():
                tensor.copy_(state[f"sae.{name}"])
            for name, parameter in self.sae.named_parameters():
                for part, tensor in self._optimizer.state[parameter].items():
                    tensor.copy_(state[f"adam.{name}.{part}"])
            self._silent.copy_(state["silent"])
            self._died.copy_(state["died"])
            self.outliers.copy_(state["outliers"])
        self._any_dead, self.step_count = bool(state["any_dead"]), int(state["step"])

    def save(self, folder: Path) -> None:
        """Write the SAE as SAELens reads it, its scale folded into the weights; training ends with it."""
        self.sae.fold_activation_norm_scaling_factor(float(self._scale))
        _, config = self.sae.save_inference_model(folder)
        # SAELens writes the keys in the order of a set, another one in every process.
        described = json.loads(config.read_text(encoding="utf-8"))
        write_text(folder / _CONFIG, canonical_json(dict(sorted(described.items()))))


def take_ground(activations: torch.Tensor) -> Ground:
    """What activations (T, d) at one place are like, outliers left out: of the first tokens that are read."""
    norms = activations.float().norm(dim=1)
    median = norms.median()
    # The rule is corpora.counting's; its number is not, for here nothing may wait for the device.
    bound = torch.where(median > 0, OUTLIER_NORM * median, torch.inf)
    kept = (norms <= bound).to(norms.dtype)
    count = kept.sum().clamp(min=1)
    # Weighted, not selected: how many are kept is not known without waiting for the device.
    mean = (activations.float() * kept[:, None]).sum(dim=0) / count
    norm = (norms * kept).sum() / count
    return Ground(mean, torch.where(norm > 0, norm, 1), bound)


def without_outliers(activations: torch.Tensor, bound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations (B, d) with others of the same batch in the place of outliers, and how many those were.

    As many rows as before: to leave rows out, their number would have to be known, and asking for it waits
    for the device.
    """
    is_outlier = activations.norm(dim=1) > bound
    kept_first = torch.argsort(is_outlier.to(torch.uint8), stable=True)
    count = (~is_outlier).sum()
    places = torch.arange(len(activations), device=activations.device) % count.clamp(min=1)
    return activations.index_select(0, kept_first.index_select(0, places)), is_outlier.sum()
