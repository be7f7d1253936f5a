"""A search on a planted truth: what it finds, what it refuses, and that it goes on to the same bytes."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.artifacts.tune import Tune, read_tune
from sae_merge_method.attribute.run import attribute
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.cli.tune import command
from sae_merge_method.errors import CorpusError, ModelError, RecipeError, UsageError
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, nearest
from sae_merge_method.loaded import text_model
from sae_merge_method.models.devices import resolve_device
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.reports.notebook import view_text
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.families import FAMILIES, Family, Look, NamedShape, on_layers
from sae_merge_method.tune.plot import draw_front
from sae_merge_method.tune.run import tune
from sae_merge_method.tune.search import TuneError
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.tables import tune_view
from tests import tiny
from tests.recipes import run_recipe
from tests.tune.planted import DAMAGING, GAINING, N_LAYERS, Planted

FILES = ("recipe.yml", "tune.html", "tune.json", "tune.md")


def settings(planted: Planted, **changes: object) -> TuneSettings:
    return TuneSettings.model_validate({**planted.settings, **changes})


def test_the_layer_that_gains_is_found_and_the_one_that_damages_is_left_out(tuned: Tune) -> None:
    (weights,) = tuned.winner.weights
    assert weights[GAINING] > 0.8 and weights[DAMAGING] < 0.2
    learned = [one for one in tuned.candidates if one.family == "learned"]
    assert learned and all(one.weights[0][GAINING] > 3 * one.weights[0][DAMAGING] for one in learned)
    assert [one.layer for one in tuned.layers if one.stands_out] == [DAMAGING]
    assert max(tuned.layers, key=lambda one: one.gain).layer == GAINING


def test_the_winner_beats_its_rivals_where_nothing_was_chosen(tuned: Tune) -> None:
    rivals = {one.name: one for one in tuned.rivals}
    assert {"base", "donor", "all layers damped", "all but the costly", "shuffled 1"} <= rivals.keys()
    for name in ("base", "donor", "all layers damped"):
        assert rivals[name].winner_is == "better", name
    shuffles = [one for name, one in rivals.items() if name.startswith("shuffled")]
    assert shuffles and all(one.difference.delta > 0 for one in shuffles)
    assert tuned.beside_curve.stands == "above"


def test_the_budget_is_kept_on_text_that_was_held_back(tuned: Tune) -> None:
    assert tuned.winner.choice.damage.delta <= tuned.budget
    assert tuned.winner.report.damage.delta < tuned.budget + 0.02
    assert all(one.choice is None or one.search.damage.delta <= tuned.budget for one in tuned.candidates)


def test_no_text_is_in_two_parts_and_all_of_them_are_in_one(tuned: Tune, planted: Planted) -> None:
    for text, file in ((tuned.target, "target.jsonl"), (tuned.controls[0], "control.jsonl")):
        assert sum(text.texts.values()) == len((planted.folder / file).read_text().splitlines())
        assert min(text.texts.values()) > 20


def test_the_recipe_makes_the_very_model_that_was_measured(
    out: Path, planted: Planted, tuned: Tune, tmp_path: Path
) -> None:
    text = (out / "recipe.yml").read_text()
    report = run_recipe(text, tmp_path / "merged")
    (weights,) = tuned.winner.weights
    assert report.layers == tuple(layer for layer, weight in enumerate(weights) if weight)
    written = tiny.load_tensors(tmp_path / "merged")
    base, donor = str(planted.folder / "base"), str(planted.folder / "donor")
    with open_edited(base, [donor], beside=tmp_path / "x", outside=False) as edited:
        edited.set_weights(by_unit(dict(enumerate(weights))), nearest)
        assert all(tiny.same_bytes(one.parameter.detach(), written[one.name]) for one in edited.tensors)
    recorded = parse_recipe(text, "recipe.yml").sae_tune
    assert recorded is not None and recorded["gain"] == tuned.winner.report.gain.delta


def test_a_search_that_was_killed_goes_on_to_the_same_bytes(
    planted: Planted, brief: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(self: Bench, side: object) -> list[float]:
        measured.append(side)
        if len(measured) == 20:
            raise KeyboardInterrupt
        return original(self, side)

    original = Bench._nats
    monkeypatch.setattr(Bench, "_nats", measure)
    again = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        tune(TuneSettings.model_validate(planted.brief), again)
    assert not again.exists()
    # A kill in the middle of a line: what stands before it is kept.
    (file,) = tmp_path.rglob("measured-0.jsonl")
    file.write_bytes(file.read_bytes()[:-7])
    tune(TuneSettings.model_validate(planted.brief), again)
    assert len(measured) < 20 + 2 * read_tune(brief).evaluations - 12
    assert [(again / name).read_bytes() for name in FILES] == [(brief / name).read_bytes() for name in FILES]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again"]


def test_a_donor_that_is_noise_comes_to_nothing_and_only_another_budget_goes_on_from_there(
    planted: Planted, tmp_path: Path
) -> None:
    file, out = tmp_path / "tune.yml", tmp_path / "out"
    noise = {**planted.settings, "donor": str(planted.folder / "noise"), "steps": 8}

    def search(**changes: object) -> None:
        file.write_text(json.dumps({**noise, **changes}))
        CliRunner().invoke(command, [str(file), "--out", str(out)], catch_exceptions=False)

    with pytest.raises(TuneError, match=r"no edit (helps|is shown to help)") as caught:
        search()
    assert caught.value.exit_code == 1 and not out.exists()
    with pytest.raises(UsageError, match=r"max_length: 512 before, 64 now"):
        search(max_length=64)
    with pytest.raises(TuneError):
        search(budget=0.02, families=["damped"])


def test_auto_is_held_against_what_it_came_to_and_so_is_the_bases_config(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shutil.copytree(planted.folder / "base", tmp_path / "base")

    def stop(bench: Bench, side: object) -> list[float]:
        raise KeyboardInterrupt

    def search(**changes: object) -> None:
        tune(TuneSettings.model_validate({**planted.brief, "base": str(base), **changes}), tmp_path / "out")

    monkeypatch.setattr(Bench, "_nats", stop)
    for device in ("auto", resolve_device()):  # two words for one device
        with pytest.raises(KeyboardInterrupt):
            search(dtype="auto", device=device)
    monkeypatch.setattr(text_model, "model_dtype", lambda *_: "bfloat16")
    with pytest.raises(UsageError, match="dtype: float32 before, bfloat16 now"):
        search(dtype="auto", device="auto")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"note": "another"}))
    with pytest.raises(UsageError, match=r"base's config\.json: \w+ before, \w+ now"):
        search(device="auto")


def test_a_part_without_texts_is_said_and_nothing_is_written(planted: Planted, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the .* part of .* has .* and takes 2 at least") as caught:
        tune(settings(planted, max_documents=6), tmp_path / "out")
    assert caught.value.exit_code == 1 and not list(tmp_path.iterdir())


def test_a_base_of_which_no_recipe_can_be_written_is_refused_before_it_is_loaded(
    planted: Planted, tmp_path: Path
) -> None:
    config, tensors = tiny.gemma3_multimodal_parts(0)  # without a tokenizer: nothing could be measured
    base = tiny.save_checkpoint(tmp_path / "base", config | {"architectures": ["Nobody"]}, tensors)
    with pytest.raises(ModelError, match="mergekit does not know the multimodal architecture Nobody"):
        tune(settings(planted, base=str(base)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == [base]


def test_the_command_prints_what_the_folder_holds(printed: Result, out: Path, tuned: Tune) -> None:
    assert "problems: " in printed.stderr and "tokens forward" in printed.stderr
    assert "At this model's pace, some " in printed.stderr
    assert f"To look at: {out}" in printed.stdout
    assert "all but the costly" in printed.stdout and f"To run it: sae-merge merge {out}" in printed.stdout
    assert sorted(file.name for file in out.iterdir()) == sorted(FILES)
    assert "At equal gain" in printed.stdout
    assert all(line in (out / "tune.md").read_text() for line in ("Winner's curse", "At equal gain"))
    assert "Winner&#x27;s curse" in (out / "tune.html").read_text()
    assert "the winner" in view_text(tune_view(tuned))
    assert len(tuned.to_frame()) == len(tuned.candidates)


def test_a_family_of_one_s_own_is_searched_and_in_help(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Family(
        "gaining",
        "the one layer that is known to gain",
        lambda known: [
            NamedShape("that layer", on_layers(known.bench.n_donors, known.bench.n_layers, [GAINING]))
        ],
        lambda donors, sizes: 1000 + donors + sizes,
        Look("#123456", "p"),
    )
    monkeypatch.setitem(FAMILIES, row.name, row)
    help_text = " ".join(CliRunner().invoke(command, ["--help"]).stdout.split())
    assert "gaining the one layer that is known to gain" in help_text
    with pytest.raises(UsageError, match="expected one of damped, .*, gaining"):
        read_settings(TuneSettings, {**planted.settings, "families": ["other"]})
    told: list[str] = []
    found = tune(settings(planted, families=["gaining"], finalists=1), tmp_path / "out", report=told.append)
    assert (found.winner.family, found.winner.shape) == ("gaining", "that layer")
    # three tries of each shape, one donor and two sizes, and base and donor themselves
    assert any(f"About {3 * (1000 + 1 + 2) + 2} edits" in line for line in told)
    drawn = draw_front(found)
    monkeypatch.setitem(FAMILIES, row.name, row._replace(look=Look("#654321", "p")))
    assert draw_front(found) != drawn


def test_several_donors_have_a_weight_a_layer_each(planted: Planted, tmp_path: Path) -> None:
    donors = [str(planted.folder / name) for name in ("donor", "noise")]
    found = tune(settings(planted, donor=donors, families=["learned"], steps=6), tmp_path / "out")
    helps, noise = found.winner.weights
    assert helps[GAINING] > 2 * max(noise)
    text = (tmp_path / "out" / "recipe.yml").read_text()
    assert all(donor in text for donor in donors[: 1 + any(noise)])
    assert {one.name for one in found.rivals} >= {"donor 1", "donor 2"}


def test_a_result_that_stands_is_not_replaced_unasked(out: Path, planted: Planted, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    with pytest.raises(UsageError, match="exists and is not empty"):
        tune(settings(planted), copy)
    assert load_file(planted.folder / "base" / "model.safetensors")


def test_layers_are_told_apart_by_an_attribution_where_one_is_named(planted: Planted, tmp_path: Path) -> None:
    texts = {name: planted.settings[name] for name in ("base", "target", "control")}
    donors = {name: tmp_path / name for name in ("donor", "noise")}
    for (name, folder), how in zip(donors.items(), ({"tolerance": 0.2}, {"first_order": True}), strict=True):
        told = {**texts, **how, "groups": 2, "max_documents": 80, "device": "cpu"}
        told["donor"] = str(planted.folder / name)
        attribute(AttributeSettings.model_validate(told), folder)
    few: dict[str, object] = {"families": ["all-but-costly", "top-k-modules"], "sizes": [1], "finalists": 1}
    found = tune(settings(planted, attribution=str(donors["donor"]), **few), tmp_path / "out")
    assert found.slopes == 0
    assert [one.layer for one in found.layers if one.stands_out] == [DAMAGING]
    assert [dict(one.parts).keys() == {"attn", "mlp"} for one in found.layers] == [True] * N_LAYERS
    by_module = next(one for one in found.candidates if one.family == "top-k-modules")
    worth = max((one.parts[part].gain, f"{one.layer}.{part}") for one in found.layers for part in one.parts)
    assert worth[1] in by_module.shape
    with pytest.raises(RecipeError, match="noise"):
        tune(settings(planted, attribution=str(donors["noise"]), **few), tmp_path / "other")
    with pytest.raises(UsageError, match="attribution is of one donor"):
        read_settings(TuneSettings, {**planted.settings, "donor": ["a", "b"], "attribution": "there"})
