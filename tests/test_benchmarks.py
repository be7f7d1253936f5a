"""Benchmarks that are too long to be run here still run, on something small."""

import argparse
import sys
from pathlib import Path

import pytest
import torch

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
