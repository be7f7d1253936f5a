"""The table of arms: a row is all that an arm needs."""

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.arm import ROLES
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.controls import command
from sae_merge_method.controls.arms import ARMS, asked_for
from sae_merge_method.controls.energies import LayerEnergies
from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.errors import UsageError
from tests.controls.test_write import write_recipe
from tests.geometry import scenes
from tests.recipes import run_recipe


def ground(selected: tuple[int, ...] = (1, 3), **changed: object) -> Ground:
    """Four layers whose energies are 1, 2, 3 and 4, at weight 2."""
    whole = {layer: layer + 1.0 for layer in range(4)}
    energies = LayerEnergies(
        whole, {layer: 4 * one for layer, one in whole.items()}, {"project": 3.0, "random": 5.0}
    )
    scores = {0: 0.4, 1: 0.9, 2: 0.1, 3: 0.8}
    made_from = {"selected": selected, "n_layers": 4, "energies": energies, "scores": scores}
    return Ground(**made_from | {"scalpel": {"rank": 2}, "random_layers": 2} | changed)


def test_every_role_is_one_that_artifacts_know_and_every_name_stands_once():
    assert {row.role for row in ARMS.values()} <= ROLES.keys()
    assert list(ARMS) == [row.name for row in ARMS.values()]


@pytest.mark.parametrize(
    ("name", "layers", "energy"),
    [
        ("stethoscope", (1, 3), 24),
        ("base", (1, 3), 0),
        ("donor", (0, 1, 2, 3), 10),
        ("all-layers", (0, 1, 2, 3), 40),
        ("all-layers-damped", (0, 1, 2, 3), 24),
        ("largest-task-vector", (2, 3), 28),
        ("lowest-specificity", (0, 2), 16),
        ("scalpel", (1, 3), 3),
        ("scalpel-random", (1, 3), 3),
        ("stethoscope-energy-matched", (1, 3), 3),
    ],
)
def test_layers_and_energies_by_hand(name, layers, energy):
    (arm,) = ARMS[name].arms(ground())
    assert (arm.name, arm.layers) == (name, layers)
    assert arm.planned_energy == pytest.approx(energy)
    assert arm.description == ARMS[name].description and arm.role == ARMS[name].role


def test_arms_at_weights_of_their_own_are_named_by_them_whatever_the_recipes_weight_is():
    damped = ARMS["damped"].arms(ground(weight=2.0, damping=(0.25, 0.5)))
    assert [(arm.name, arm.weight, arm.planned_energy) for arm in damped] == (
        [("damped-0.25", 0.25, 0.625), ("damped-0.5", 0.5, 2.5)]
    )
    (but_last,) = ARMS["all-but-the-last"].arms(ground(damping=(0.5,), all_but_the_last=1))
    assert (but_last.name, but_last.layers, but_last.planned_energy) == (
        "all-but-the-last-0.5",
        (0, 1, 2),
        1.5,
    )
    assert ARMS["damped"].owns("damped-0.5") and not ARMS["damped"].owns("all-layers-damped")


@pytest.mark.parametrize("name", ["damped", "all-but-the-last"])
def test_away_from_the_donor_there_is_no_damping_curve(name):
    with pytest.raises(NoArmError, match="weight is below 0"):
        ARMS[name].arms(ground(weight=-0.5, damping=(0.25, 0.5), all_but_the_last=1))


@pytest.mark.parametrize(
    ("name", "weight"),
    [("base", 0), ("stethoscope", 2), ("all-layers", 2), ("donor", 1), ("scalpel", None)],
)
def test_an_arm_says_its_weight_where_all_its_layers_have_one(name, weight):
    assert ARMS[name].arms(ground(weight=2.0))[0].weight == weight
    assert ARMS["all-layers"].arms(ground())[0].weight is None


@pytest.mark.parametrize("name", ["damped", "all-but-the-last", "every-nth", "window", "random-spread"])
def test_what_was_not_asked_for_is_no_arm(name):
    assert ARMS[name].arms(ground()) == []


def test_what_scales_an_arm_gives_it_its_energy():
    damped, matched = ARMS["all-layers-damped"], ARMS["stethoscope-energy-matched"]
    assert damped.factor(ground()) ** 2 * 40 == pytest.approx(24)
    assert matched.parameters(ground())["energy"] * 24 == pytest.approx(3)
    assert ARMS["scalpel"].parameters(ground()) == {"rank": 2, "mode": "project"}


def test_numbered_arms_are_called_by_their_row_and_number():
    assert [arm.name for arm in ARMS["random-layers"].arms(ground())] == [
        "random-layers-0",
        "random-layers-1",
    ]
    assert [arm.layers for arm in ARMS["layer"].arms(ground())] == [(0,), (1,), (2,), (3,)]
    assert ARMS["layer"].owns("layer-2") and not ARMS["layer"].owns("layer")
    assert ARMS["scalpel"].owns("scalpel") and not ARMS["scalpel"].owns("scalpel-random")


@pytest.mark.parametrize(
    "name", ["random-layers", "depth-matched", "largest-task-vector", "lowest-specificity"]
)
def test_without_other_layers_there_is_no_arm_with_other_layers(name):
    with pytest.raises(NoArmError, match="no other layers"):
        ARMS[name].arms(ground((0, 1, 2, 3)))


def changed(layers: tuple[int, ...], **given: object) -> Ground:
    """The same four layers, of which a donor changes some alone."""
    energies = {layer: layer + 1.0 if layer in layers else 0.0 for layer in range(4)}
    return ground(energies=LayerEnergies(energies, energies, {}), **given)


RIVALS = ("random-layers", "random-spread", "depth-matched", "largest-task-vector", "lowest-specificity")


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_are_layers_that_the_donor_changes(name):
    some = changed((0, 1, 3), random_spread=2)
    for arm in ARMS[name].arms(some):
        assert 2 not in arm.layers and arm.planned_energy > 0
    assert ARMS[name].arms(some)


@pytest.mark.parametrize("name", RIVALS)
def test_where_the_donor_changes_no_other_layers_there_are_no_rivals(name):
    with pytest.raises(NoArmError, match="too few other layers that the donor changes"):
        ARMS[name].arms(changed((1, 3), random_spread=2))


def test_with_too_few_scores_there_is_no_lowest_one():
    with pytest.raises(NoArmError, match="fewer layers were diagnosed"):
        ARMS["lowest-specificity"].arms(ground(scores={1: 0.9}))


def test_all_that_is_not_named_is_what_needs_no_asking():
    assert "layer" not in asked_for(None, ControlSettings())
    assert asked_for(None, ControlSettings(single_layers=True))[-1] == "layer"
    assert asked_for(["scalpel", "base"], ControlSettings()) == ("base", "scalpel")


def test_an_arm_that_is_registered_is_in_help_refusals_and_output_and_merges(tmp_path, monkeypatch):
    row = ArmKind("bottom", "layers", "the near end: the lowest layers", lambda ground: [(0, 1)])
    monkeypatch.setitem(ARMS, row.name, row)
    assert "bottom the near end: the lowest layers" in " ".join(
        CliRunner().invoke(command, ["--help"]).stdout.split()
    )
    with pytest.raises(UsageError, match="expected one of stethoscope, .*, bottom, got 'botom'"):
        read_settings(ControlSettings, {"arms": ["botom"]})

    recipe = write_recipe(scenes.build(tmp_path), tmp_path / "recipe.yml")
    words = [str(recipe), "--out", str(tmp_path / "arms"), "--arms", "bottom"]
    printed = CliRunner().invoke(command, words, catch_exceptions=False).stdout
    assert printed.splitlines()[-1].split()[0] == "bottom" and printed.endswith("0, 1\n")
    (written,) = (tmp_path / "arms").iterdir()
    assert run_recipe(written.read_text(), tmp_path / "out").layers == (0, 1)


def test_no_arm_takes_the_score_for_a_specificity_when_layers_may_be_chosen_by_another():
    assert not [row.name for row in ARMS.values() if "specific" in row.description]
