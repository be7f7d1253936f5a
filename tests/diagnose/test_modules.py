"""Attention and MLP are diagnosed apart, by SAEs that listen to them, and ranked together."""

from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.attribution import read_attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.draws import read_draws
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.cli import score as score_command
from sae_merge_method.diagnose.select import select_layers, selections_grid
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.sited_saes import sited_saes
from sae_merge_method.energy.run import energy
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import RefusedSaeError, SaeError, UsageError
from sae_merge_method.layers import LayerModule
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.reports.grid import as_text
from tests.diagnose import command, hosts, modules
from tests.diagnose.modules import N_LAYERS, PLANTED, SINK, SINK_AT

EVERY = [LayerModule(layer, part) for layer in range(N_LAYERS) for part in ("attn", "mlp")]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("modules")


@pytest.fixture(scope="module")
def model(at: Path) -> Path:
    return modules.save_model(at / "model")


@pytest.fixture(scope="module")
def saes(at: Path) -> tuple[str, str]:
    return modules.save_saes(at / "saes")


def diagnose(out: Path, model: Path, saes: tuple[str, ...], maths: Path, prose: Path, *more: object) -> str:
    first, *others = saes
    told = [word for one in others for word in ("--sae", one)]
    return command.diagnose(out, model, first, maths, prose, *told, *map(str, more)).stdout


@pytest.fixture(scope="module")
def told(at: Path, model: Path, saes: tuple[str, str], maths: Path, prose: Path) -> str:
    return diagnose(at / "diagnosis", model, saes, maths, prose, "--select", "top_k=1")


@pytest.fixture(scope="module")
def folder(at: Path, told: str) -> Path:
    return at / "diagnosis"


@pytest.fixture(scope="module")
def diagnosis(folder: Path) -> Diagnosis:
    return read_diagnosis(folder)


def test_an_ability_planted_in_one_mlp_is_found_there_and_nowhere_else(diagnosis: Diagnosis) -> None:
    assert list(diagnosis.units) == EVERY
    scores, q_values = diagnosis.scores(), diagnosis.q_values()
    assert max(scores, key=scores.__getitem__) == PLANTED
    assert q_values is not None
    assert [unit for unit, q in q_values.items() if q <= 0.05] == [PLANTED]


def test_each_sae_listens_where_its_own_config_says(diagnosis: Diagnosis) -> None:
    assert [entry.sae.hook_point for entry in diagnosis.layers[:2]] == [
        "model.layers.0.self_attn.o_proj.input",
        "model.layers.0.mlp.output",
    ]
    assert all(entry.explained_variance > 0.99 for entry in diagnosis.layers)


def test_everything_that_shows_a_diagnosis_speaks_of_its_modules(
    folder: Path, diagnosis: Diagnosis, told: str
) -> None:
    first, *rows = told.split("\n\n")[0].splitlines()
    assert first.split()[0] == "module"
    assert [row.split()[0] for row in rows] == [str(unit) for unit in EVERY]
    assert "mean over modules" in told
    assert "kl_bits of attention ranks with the layer's number" in told
    page = (folder / "diagnosis.html").read_text()
    for words in (
        "<h2>Modules</h2>",
        "<dt>modules</dt><dd>6 of 6 modules diagnosed</dd>",
        "<dt>SAEs of attention</dt>",
        "<dt>SAEs of MLP</dt>",
        "<dt>selected by top_k=1</dt><dd>2.mlp (shaded), 0 of 1 adjacent</dd>",
        "<summary>module 2.mlp: 10 features</summary>",
    ):
        assert words in page
    frame = diagnosis.to_frame()
    assert list(zip(frame["layer"], frame["part"], strict=True)) == [tuple(unit) for unit in EVERY]


def test_what_lies_beside_a_diagnosis_is_kept_by_module(folder: Path, diagnosis: Diagnosis) -> None:
    assert UsageReader(folder).layers == read_draws(folder).units == diagnosis.units
    assert [row.scores.keys() for row in diagnosis.others] == [diagnosis.scores().keys()] * len(
        diagnosis.others
    )
    assert all(set(one.scores["kl_bits"]) == set(EVERY) for one in diagnosis.dictionaries)
    command.run(score_command.command, folder, "--score", "kl_bits", "--out", folder.parent / "again",
                "--permutations", 200, "--bootstrap", 200)  # fmt: skip
    again = read_diagnosis(folder.parent / "again").scores()
    np.testing.assert_allclose(list(again.values()), list(diagnosis.scores().values()))


def test_rules_choose_among_modules_and_neighbours_are_those_of_the_layers(folder: Path) -> None:
    assert select_layers(folder, "top_k=1").layers == (PLANTED,)
    assert select_layers(folder, "differs=0.05").layers == (PLANTED,)
    assert select_layers(folder, "elbow").layers == (PLANTED,)
    spread = select_layers(folder, "spread=2")
    assert PLANTED in spread.layers and {unit.layer for unit in spread.layers} == {0, 2}
    named = select_layers(folder, "layers=0.attn,2.attn,2.mlp")
    assert (named.layers, named.adjacent) == ((EVERY[0], EVERY[4], PLANTED), 2)
    assert "2.attn, 2.mlp" in as_text(selections_grid([named]))
    with pytest.raises(UsageError, match="no score for layers 2 named by layers=2"):
        select_layers(folder, "layers=2")
    with pytest.raises(UsageError, match=r"at least 2 apart: of the 6 that have a score at most 2 are"):
        select_layers(folder, "spread=3")
    often = select_layers(folder, "top_k=1").frequency
    assert often[PLANTED] > 0.9


def test_a_massive_activation_of_one_mlp_is_left_out_there_alone(
    tmp_path: Path, saes: tuple[str, str], maths: Path, prose: Path
) -> None:
    model = modules.save_model(tmp_path / "model", sink=True)
    few = ("--permutations", 0, "--bootstrap", 0)
    diagnose(tmp_path / "out", model, saes, maths, prose, *few)
    for entry in read_diagnosis(tmp_path / "out").layers:
        assert entry.left_out is not None
        named = [token.text for token in entry.left_out.tokens if token.count > token.first]
        assert named == ([SINK] if entry.unit == SINK_AT else []), entry.unit


def test_layers_and_modules_that_are_named_are_diagnosed_alone(
    tmp_path: Path, model: Path, saes: tuple[str, str], maths: Path, prose: Path, diagnosis: Diagnosis
) -> None:
    few = ("--permutations", 0, "--bootstrap", 0, "--layers", "0.attn, 2")
    diagnose(tmp_path / "out", model, saes, maths, prose, *few)
    found = read_diagnosis(tmp_path / "out")
    assert [str(unit) for unit in found.units] == ["0.attn", "2.attn", "2.mlp"]
    assert found.scores() == {unit: diagnosis.scores("raw")[unit] for unit in found.units}


def asked(model: Path, saes: tuple[str, ...], **more: object) -> DiagnoseSettings:
    return DiagnoseSettings(model=model, sae=saes, target="a", control=("b",), **more)


def test_families_that_tell_of_the_same_or_of_whole_layers_too_are_not_ranked_together(
    tmp_path: Path, model: Path, saes: tuple[str, str]
) -> None:
    from sae_merge_method.diagnose.sited_saes import find_families

    def found(*families: str, **more: object) -> list[str]:
        settings = asked(model, families, **more)
        text_model = load_text_model(str(model))
        return [str(unit) for unit in sited_saes(settings, find_families(settings, N_LAYERS), text_model)]

    hosts.save_raw(tmp_path / "stream/layer_1", 1)
    assert found(str(tmp_path / "stream")) == ["1"]
    assert found(*reversed(saes), layers="1") == ["1.attn", "1.mlp"]
    with pytest.raises(UsageError, match=r"two SAEs would tell of 0.mlp, .*: expected one"):
        found(saes[1], saes[1])
    with pytest.raises(
        UsageError, match=r"some SAEs tell of whole layers \(layer 1\), some of parts \(0.attn\)"
    ):
        found(saes[0], str(tmp_path / "stream"))
    with pytest.raises(UsageError, match="one --sae-id for all, or one for each of 1 --sae, got 2"):
        found(saes[0], sae_id=("a", "b"))
    with pytest.raises(SaeError, match="tells of 1.mlp"):
        found(saes[0], layers="1.mlp")


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"type": "transcoder"}, "is a transcoder"),
        ({"hf_hook_point_out": "model.layers.1.mlp.output"}, "is a transcoder"),
        ({}, "reads model.layers.1.post_attention_layernorm.output"),
    ],
)
def test_a_transcoder_and_what_an_mlp_reads_stay_refused(
    tmp_path: Path, model: Path, maths: Path, prose: Path, config: dict[str, str], complaint: str
) -> None:
    """In a Llama the norm of that name stands in front of the MLP, in a Gemma behind attention."""
    read = "model.layers.1.post_attention_layernorm.output"
    hosts.save_raw(tmp_path / "saes/layer_1", 1, hf_hook_point_in=read, **config)
    with pytest.raises(RefusedSaeError, match=complaint):
        diagnose(tmp_path / "out", model, (str(tmp_path / "saes"),), maths, prose)
    assert not (tmp_path / "out").exists()


def test_what_projects_onto_the_stream_asks_for_a_diagnosis_of_whole_layers(
    folder: Path, model: Path
) -> None:
    with pytest.raises(UsageError, match=r"of modules, such as 0.attn: expected one of whole layers"):
        energy(EnergySettings(base=model, donor=model, diagnosis=folder, rank=4))


def test_a_donor_beside_modules_is_attributed_by_layer_and_through_none_of_their_saes(
    tmp_path: Path, model: Path, saes: tuple[str, str], maths: Path, prose: Path
) -> None:
    donor = modules.save_model(tmp_path / "donor", sink=True)
    draws = ("--permutations", 0, "--bootstrap", 0)
    few = (*draws, "--max-documents", 4, "--dictionaries", "", "--donor", donor)
    diagnose(tmp_path / "out", model, saes, maths, prose, *few)
    attribution = read_attribution(tmp_path / "out")
    assert list(attribution.scores_by("attributed_gain")) == list(range(N_LAYERS))
    assert not attribution.saes
