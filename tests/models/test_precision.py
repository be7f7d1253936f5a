"""What a model computes in where its user leaves that to us: measured here, by speeds that the tests choose."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.models import precision
from sae_merge_method.models.precision import matmul_speed, model_dtype


@pytest.fixture
def halved(gemma3: Path, tmp_path: Path) -> Path:
    """The tiny Gemma 3 in bfloat16."""
    folder = Path(shutil.copytree(gemma3, tmp_path / "model"))
    AutoModelForCausalLM.from_pretrained(gemma3, dtype=torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Plays a machine that multiplies in float32 so many times faster, with so much free memory."""

    def play(gain: float, free: int = 1 << 40) -> None:
        monkeypatch.setattr(
            precision, "matmul_speed", lambda dtype, *_: gain if dtype == torch.float32 else 1.0
        )
        monkeypatch.setattr(precision, "free_memory", lambda _: free)
        precision._gain.cache_clear()

    yield play
    precision._gain.cache_clear()


def test_speeds_are_really_measured() -> None:
    assert matmul_speed(torch.float32, torch.device("cpu"), size=128) > 1e6


@pytest.mark.parametrize(("speed", "sizes"), [(1e8, [256]), (1e11, [256, 2048])])
def test_a_large_product_is_tried_where_a_small_one_is_not_slow(monkeypatch, speed, sizes) -> None:
    tried: list[int] = []

    def told(dtype: torch.dtype, device: torch.device, size: int) -> float:
        tried.append(size)
        return speed * size

    monkeypatch.setattr(precision, "matmul_speed", told)
    monkeypatch.setattr(precision, "_SLOW", 1e12)
    assert precision.speed_of_products(torch.bfloat16, torch.device("cpu")) == speed * sizes[-1]
    assert tried == sizes


def test_float32_is_taken_where_it_is_clearly_faster_and_the_log_says_why(machine, halved, caplog) -> None:
    machine(gain=60)
    with caplog.at_level(logging.INFO):
        loaded = load_text_model(str(halved))
    assert loaded.dtype == torch.float32
    assert "computing in float32: bfloat16 is 60 times slower on this cpu" in caplog.text


def test_it_is_the_model_that_float32_by_name_gives_to_the_last_bit(machine, halved) -> None:
    machine(gain=60)
    ours, named = load_text_model(str(halved)), load_text_model(str(halved), "float32")
    ids = torch.arange(12).unsqueeze(0)
    assert torch.equal(ours.decoder(ids).last_hidden_state, named.decoder(ids).last_hidden_state)


@pytest.mark.parametrize("gain", [0.5, 1.4])
def test_the_checkpoints_own_is_kept_where_float32_is_no_faster_or_hardly(machine, halved, gain) -> None:
    machine(gain)
    assert load_text_model(str(halved)).dtype == torch.bfloat16


def test_float32_that_does_not_fit_is_not_taken_and_what_it_would_need_is_said(
    machine, halved, caplog
) -> None:
    config = AutoConfig.from_pretrained(halved)
    weights = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    machine(gain=60, free=4 * weights)
    assert model_dtype(config, "cpu") == "auto"
    assert "60 times slower than float32, which would need" in caplog.text
    machine(gain=60, free=6 * weights)
    assert model_dtype(config, "cpu") == "float32"


def test_nothing_is_measured_where_there_is_no_choice(monkeypatch, gemma3, halved) -> None:
    monkeypatch.setattr(precision, "matmul_speed", None)
    assert model_dtype(AutoConfig.from_pretrained(gemma3), "cpu") == "auto"  # float32 already
    assert model_dtype(AutoConfig.from_pretrained(halved), None) == "auto"  # spread over devices
    assert load_text_model(str(halved), "bfloat16").dtype == torch.bfloat16  # named
