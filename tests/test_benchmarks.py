"""Benchmarks that are too long to be run here still run, on something small."""

import argparse
import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.cli.main import road

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gpu

    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert end.value.code == 2
    assert "no CUDA GPU here: expected one, or --device cpu --tiny" in capsys.readouterr().err


def test_what_a_gpu_is_given_can_be_diagnosed(tmp_path: Path) -> None:
    import gpu
    import gpu_inputs

    shape = gpu_inputs.TINY
    gpu_inputs.build_models(tmp_path, shape, "cpu")
    gpu_inputs.build_saes(tmp_path, shape, "cpu")
    gpu_inputs.write_texts(tmp_path, shape)
    assert gpu.least(tmp_path, shape, "cpu") > 0
    assert len(list((tmp_path / "saes").iterdir())) == shape.layers


def test_drawn_usage_is_scored_as_a_diagnosis_stores_it(tmp_path: Path) -> None:
    import scoring

    options = argparse.Namespace(
        layers=2, features=256, documents=24, draws=8, active=20, score="kl_bits", threads=1
    )
    used = [scoring.write_layer(tmp_path / str(layer), layer, options) for layer in range(2)]
    assert all(0 < entries < 24 * 256 for entries in used)
    scoring.score(tmp_path, options)


def test_losses_are_lm_evals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import losses

    small = ["losses.py", "--layers", "1", "--width", "16", "--vocabulary", "64", "--documents", "6"]
    monkeypatch.setattr(sys, "argv", small)
    threads = torch.get_num_threads()
    losses.main()
    torch.set_num_threads(threads)
    prose, problems = capsys.readouterr().out.splitlines()[-2:]
    assert prose.startswith("prose") and problems.startswith("problems")
    assert max(float(row.split()[-1]) for row in (prose, problems)) < 1e-3


def test_scene_of_energy_is_one_that_the_command_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import energy

    for name, size in (("WIDTH", 32), ("MLP", 64), ("QUERIES", 32), ("KEYS", 16), ("HEAD", 16)):
        monkeypatch.setattr(energy, name, size)
    monkeypatch.setattr(energy, "FEATURES", 64)
    monkeypatch.setattr(energy, "RANK", 8)
    energy.write_scene(tmp_path, 1)
    words = ["energy", "--rank", "8", "--format", "json"]
    words += [f"--{name}={tmp_path / name}" for name in ("base", "donor", "diagnosis")]
    done = CliRunner().invoke(road, words)
    assert done.exit_code == 0, done.output
    assert 0.5 < json.loads(done.stdout)["total"]["ratio"] < 1.5  # of a Gaussian task vector


def test_drawn_usage_of_all_layers_is_scored_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diagnose_memory

    monkeypatch.setattr(diagnose_memory, "DOCUMENTS", 20)
    monkeypatch.setattr(diagnose_memory, "FEATURES", 64)
    (written := tmp_path / diagnose_memory.AFTER).mkdir()
    diagnose_memory.score_and_write(tmp_path, argparse.Namespace(layers=3, distinct=8))
    assert UsageReader(written).layers == (0, 1, 2)


def test_all_three_trainers_of_saes_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import train_saes

    small = ["train_saes.py", "--d-model", "16", "--width", "32", "--k", "4", "--steps", "3"]
    monkeypatch.setattr(sys, "argv", small)
    threads = torch.get_num_threads()
    train_saes.main()
    torch.set_num_threads(threads)
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[-3:]] == [
        "plain",
        "ours",
        "saelens",
    ]
