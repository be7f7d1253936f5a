"""Laws of one SAE in training: what it finds, what does not rule it, what comes back, and what SAELens reads."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.sae import TrainStepInput

from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.train_saes.learner import Learner, Schedule, take_ground, without_outliers
from sae_merge_method.train_saes.unsynced import UnsyncedSae

D, FEATURES, ACTIVE = 24, 32, 3
CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """Activations that are sums of a few directions of a known dictionary, about a mean that is not zero."""

    directions: torch.Tensor
    mean: torch.Tensor
    scale: float = 7.0

    def draw(self, tokens: int, seed: int) -> torch.Tensor:
        chance = torch.Generator().manual_seed(seed)
        active = torch.rand(tokens, FEATURES, generator=chance).argsort(dim=1) < ACTIVE
        amounts = 1 + torch.rand(tokens, FEATURES, generator=chance)
        return self.scale * ((active * amounts) @ self.directions + self.mean)


@pytest.fixture(scope="module")
def world() -> World:
    chance = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(FEATURES, D, generator=chance), dim=1)
    return World(directions, torch.randn(D, generator=chance))


def schedule(steps: int, **changes: object) -> Schedule:
    made = Schedule(d_in=D, d_sae=48, k=ACTIVE, steps=steps, learning_rate=1e-2, dead_after=40)
    return made._replace(**changes)


def learner(world: World, planned: Schedule, hook: str = "blocks.0.hook_resid_post") -> Learner:
    metadata = {"model_name": "world", "hook_name": hook}
    return Learner(planned, metadata, 0, take_ground(world.draw(512, 10**6)), CPU)


def train(one: Learner, world: World, first: int, last: int) -> Learner:
    for step in range(first, last):
        one.step(world.draw(128, step))
    return one


def explained(sae: torch.nn.Module, activations: torch.Tensor) -> float:
    with torch.no_grad():
        rest = activations - sae.decode(sae.encode(activations))
    return 1 - float(rest.pow(2).sum() / (activations - activations.mean(dim=0)).pow(2).sum())


def saved(one: Learner, folder: Path) -> SAE:
    one.save(folder)
    return SAE.load_from_disk(folder)


def test_a_planted_dictionary_is_recovered_and_explains_the_activations(world: World, tmp_path: Path) -> None:
    sae = saved(train(learner(world, schedule(300)), world, 0, 300), tmp_path)
    assert explained(sae, world.draw(2000, -1)) > 0.9
    cosines = torch.nn.functional.normalize(sae.W_dec.detach(), dim=1) @ world.directions.T
    found = cosines.max(dim=0).values
    assert found.median() > 0.95
    assert (found > 0.9).float().mean() > 0.8


def test_one_step_is_saelens_own_step_with_dead_features_and_without(world: World) -> None:
    config = {"d_in": D, "d_sae": 48, "k": ACTIVE, "topk_threshold_lr": 0.1}
    activations = world.draw(64, 0)
    for dead in (None, torch.arange(48) < 3, torch.arange(48) < 30):
        outputs, thresholds, gradients = [], [], []
        for kind in (BatchTopKTrainingSAE, UnsyncedSae):
            torch.manual_seed(0)
            sae = kind(BatchTopKTrainingSAEConfig(**config))
            output = sae.training_forward_pass(TrainStepInput(activations, {}, dead, 0, False))
            output.loss.backward()
            outputs.append(output.loss)
            thresholds.append(sae.topk_threshold)
            gradients.append(sae.W_enc.grad)
        torch.testing.assert_close(outputs[0], outputs[1])
        torch.testing.assert_close(gradients[0], gradients[1])
        assert thresholds[0] == thresholds[1] > 0


def test_what_is_saved_computes_what_was_trained_and_both_readers_agree(world: World, tmp_path: Path) -> None:
    one = train(learner(world, schedule(60)), world, 0, 60)
    activations = world.draw(100, -1)
    with (
        torch.no_grad()
    ):  # by hand, from what SAELens trains: scaled, centred, in units of the decoder's norms
        scaled = activations * D**0.5 / one.ground.norm
        norms = one.sae.W_dec.norm(dim=1)
        inputs = ((scaled - one.sae.b_dec) @ one.sae.W_enc + one.sae.b_enc) * norms
        active = inputs * (inputs > one.sae.topk_threshold)
        rebuilt = ((active / norms) @ one.sae.W_dec + one.sae.b_dec) * one.ground.norm / D**0.5
    read = saved(one, tmp_path / "layer_0")
    ours = load_sae(find_sae(str(tmp_path), None, 0), D, torch.float32, CPU).encoder
    for sae in (read, ours):
        features = sae.encode(activations)
        assert torch.equal(features > 0, active > 0)
        # A feature's unit is that of the activations: the scale is folded into the weights.
        torch.testing.assert_close(sae.decode(features), rebuilt, atol=1e-3, rtol=1e-4)
    assert torch.equal(read.encode(activations), ours.encode(activations))
    assert read.cfg.normalize_activations == "none"


def test_a_sink_of_a_hundred_times_the_norm_does_not_rule_the_loss(world: World, tmp_path: Path) -> None:
    one, plain = (learner(world, schedule(100)) for _ in range(2))
    sink = 100 * world.draw(1, 5)
    for step in range(100):
        activations = world.draw(128, step)
        plain.step(activations)
        one.step(torch.cat([activations[:-1], sink]))
    assert int(one.outliers) == 100
    test = world.draw(1000, -1)
    with_sink, without = (
        explained(saved(sae, tmp_path / str(n)), test) for n, sae in enumerate((one, plain))
    )
    assert with_sink > without - 0.05


def test_in_an_outliers_place_stands_another_token_and_nothing_else_moves(world: World) -> None:
    activations = world.draw(8, 0)
    bound = take_ground(activations).bound
    torch.testing.assert_close(bound, OUTLIER_NORM * activations.norm(dim=1).median())
    same, none = without_outliers(activations, bound)
    assert torch.equal(same, activations)
    activations[2] *= 1000
    kept, one = without_outliers(activations, bound)
    assert (int(none), int(one)) == (0, 1)
    assert kept.shape == activations.shape
    assert torch.equal(kept[:7], activations[[0, 1, 3, 4, 5, 6, 7]])
    assert torch.equal(kept[7], activations[0])


def test_outliers_of_the_first_tokens_are_no_part_of_what_is_known_of_them(world: World) -> None:
    activations = world.draw(100, 0)
    plain = take_ground(activations)
    sunk = take_ground(torch.cat([activations, 500 * activations[:3]]))
    torch.testing.assert_close(sunk.mean, plain.mean)
    torch.testing.assert_close(sunk.norm, plain.norm)


def test_dead_features_are_revived_and_without_that_they_stay_dead(world: World) -> None:
    dead = []
    for revive in (True, False):
        one = learner(world, schedule(100, revive=revive, dead_after=10))
        with torch.no_grad():
            one.sae.W_enc[:, :24] *= 0.01  # half of the features are never among the strongest
        train(one, world, 0, 100)
        dead.append(one.dead())
    assert dead[0].now < 15 < dead[0].revived + 5
    assert dead[1].now >= 24
    assert dead[1].revived == 0


def test_a_state_goes_on_to_the_same_bytes(world: World) -> None:
    planned = schedule(60, dead_after=5)
    whole = train(learner(world, planned), world, 0, 60)
    half = train(learner(world, planned), world, 0, 30)
    state = {name: tensor.clone() for name, tensor in half.state().items()}
    again = learner(world, planned)
    again.restore(state)
    train(again, world, 30, 60)
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, again.state()[name]), name


def test_the_learning_rate_rises_stays_and_falls_to_a_tenth() -> None:
    planned = schedule(100)
    rates = [planned.rate(step) / planned.learning_rate for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5:80] == [1.0] * 75
    assert rates[99] == pytest.approx(0.1 + 0.9 / 20)
    assert rates[80:] == sorted(rates[80:], reverse=True)
