"""An attribution as it is read: the sentences, the tables, and what is not in them."""

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.attribution_summary import summary_of
from sae_merge_method.attribute.run import attribute
from sae_merge_method.cli.main import road
from sae_merge_method.errors import UsageError
from tests.attribute.conftest import settings
from tests.attribute.planted import DAMAGE, GAIN


def test_the_sentences_name_the_layers_that_carry_gain_and_damage(attributed):
    gain, damage = str(attributed).split("\n")[:2]
    assert f"of which layer {GAIN} carries" in gain and " a gain of " in gain
    assert f"of which layer {DAMAGE} carries" in damage and " a damage of " in damage


def test_every_layer_stands_in_every_table_and_every_score_is_explained(attributed):
    text = str(attributed)
    for title in ("gain on ", "damage on ", "scores for choosing layers"):
        assert title in text
    assert text.count("attributed_gain_per_damage: ") == 1
    assert "with depth" in text


def test_to_first_order_nothing_is_said_of_the_donor(ground, planted, tmp_path):
    text = str(attribute(settings(ground, planted, first_order=True), tmp_path / "out"))
    assert f"to first order layer {GAIN} has the largest gain" in text
    assert "donor" not in text.split("scores for choosing")[0].split("gain on")[1]


def test_a_donor_that_does_harm_is_not_said_to_gain(ground, attributed):
    turned = attributed.target.model_copy(
        update={"gain": attributed.target.gain.model_copy(update={"gain": -0.5, "low": -0.6, "high": -0.4})}
    )
    text = str(attributed.model_copy(update={"target": turned}))
    assert "no gain but a damage of 0.5000" in text


def test_its_numbers_are_a_data_frame_by_layer_of_every_text_and_by_layer_of_every_score(attributed):
    layers, scores = attributed.to_frame(), attributed.to_frame(by="score")
    texts = {"target": attributed.target, "control": attributed.controls[0]}
    assert list(layers.columns)[:3] == ["text", "role", "layer"]
    for role, text in texts.items():
        rows = layers[layers.role == role]
        assert set(rows.text) == {text.name}
        assert dict(zip(rows.layer, rows.path_gain, strict=True)) == text.attributed()
        assert rows.probe_low.tolist() == [entry.probe.low for entry in text.layers]
    assert list(scores.columns)[:4] == ["name", "unit", "layer", "score"]
    assert len(scores) == sum(len(score.layers) for score in attributed.scores)
    for score in attributed.scores:
        rows = scores[scores.name == score.name]
        assert dict(zip(rows.layer, rows.score, strict=True)) == attributed.scores_by(score.name)
        assert rows.p.tolist() == [entry.p for entry in score.layers]


@pytest.fixture
def words(ground, planted):
    texts = ["--target", ground.target, "--control", ground.control]
    return ["attribute", "--base", ground.base, "--donor", planted, *texts]


def test_the_command_says_what_it_costs_and_prints_what_it_found(words, tmp_path):
    out = ["--groups", "2", "--first-order", "--device", "cpu", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(road, [*words, *out])
    assert result.exit_code == 0, result.output
    assert "1 backward and 0 forward passes" in result.stderr
    assert "first_order_gain" in result.stdout
    assert f"To look at: {tmp_path / 'out' / 'attribution.html'}\n" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "attribution.html", "attribution.json", "attribution.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [["--tolerance", "0"], ["--memory", "much"], ["--groups", "1"]])
def test_settings_out_of_bounds_are_usage_errors(words, tmp_path, wrong):
    result = CliRunner().invoke(road, [*words, "--out", str(tmp_path / "out"), *wrong])
    assert result.exit_code == 2 or isinstance(result.exception, UsageError)
    assert str(result.exception or result.stderr).count(f"got {wrong[1]!r}") <= 1
    assert not list(tmp_path.iterdir())
    assert not (tmp_path / "out").exists()


def test_an_attribution_is_put_in_short(attributed):
    short = summary_of(attributed)
    assert short is not None
    assert [one.gain for one in short.layers] == [entry.path.gain for entry in attributed.target.layers]
    assert short.controls[0].amount == -attributed.controls[0].gain.gain
