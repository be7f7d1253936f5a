"""A training that is killed, interrupted or split by memory comes to the same bytes."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import UsageError
from sae_merge_method.files import stamps
from sae_merge_method.files.progress import Inputs
from sae_merge_method.loaded.sites import Site
from sae_merge_method.train_saes import training
from sae_merge_method.train_saes.learner import Learner
from sae_merge_method.train_saes.run import train_saes
from sae_merge_method.train_saes.settings import TrainSaesSettings
from tests.train_saes.conftest import STEPS, Settings, content


def in_a_child(work: Callable[[], None]) -> int:
    """Run something in a child of this process; how it ended, as ``os.waitpid`` says."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(7)
    return os.waitpid(child, 0)[1]


def at_step(number: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something before the learners' so many-th step."""
    taken = 0
    step = Learner.step

    def counted(self: Learner, activations: torch.Tensor) -> None:
        nonlocal taken
        taken += 1
        if taken == number:
            do()
        step(self, activations)

    monkeypatch.setattr(Learner, "step", counted)


def test_killed_at_any_step_it_goes_on_to_the_same_bytes(
    settings: Settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "saes"
    with monkeypatch.context() as patch:
        # Two steps of the probe, a block of four steps of both SAEs, and one SAE is a step ahead.
        at_step(2 + 8 + 4, lambda: os.kill(os.getpid(), signal.SIGKILL), patch)
        assert os.WTERMSIG(in_a_child(lambda: train_saes(settings(), out))) == signal.SIGKILL
    assert not out.exists()
    assert sorted(one.name for one in (tmp_path / ".saes.progress").iterdir()) == [
        "inputs.json", "resid_post-0.safetensors", "resid_post-2.safetensors",
    ]  # fmt: skip
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="k: 4 before, 5 now"):
        train_saes(settings(k=5), out)
    said: list[str] = []
    train_saes(settings(), out, report=said.append)
    assert "over the texts, 33% of the steps done before: about" in said[0]
    assert content(out) == content(whole)
    assert not (tmp_path / ".saes.progress").exists()


def test_states_of_layers_that_were_not_asked_for_stay_for_a_run_that_asks_for_them(
    settings: Settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, states = tmp_path / "saes", tmp_path / ".saes.progress"
    with monkeypatch.context() as patch:
        at_step(2 + 8 + 4, lambda: os.kill(os.getpid(), signal.SIGKILL), patch)
        assert os.WTERMSIG(in_a_child(lambda: train_saes(settings(), out))) == signal.SIGKILL
    train_saes(settings(layers="0"), out)
    assert sorted(one.name for one in states.iterdir()) == ["inputs.json", "resid_post-2.safetensors"]
    train_saes(settings(), out, overwrite=True)
    assert content(out) == content(whole)
    assert not states.exists()


def test_texts_in_another_order_and_other_versions_of_ours_or_of_hosts_are_another_training(
    settings: Settings, maths: Path, prose: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, inputs = tmp_path / "saes", _inputs(settings())
    training.States(out, inputs).save({})
    turned = _inputs(settings(text=(prose, f"{maths}:2")))
    with pytest.raises(
        UsageError, match=rf"text 1: {re.escape(str(maths))}, .* before, {re.escape(str(prose))}"
    ):
        training.States(out, turned)
    with pytest.raises(UsageError, match=r"version: .* before, another now"):
        training.States(out, {**inputs, "version": "another"})
    monkeypatch.setattr(stamps, "version", lambda package: "9.9")
    with pytest.raises(UsageError, match=r"packages: sae-lens .* before, sae-lens 9\.9, torch 9\.9"):
        training.States(out, _inputs(settings()))


def test_ctrl_c_between_two_saes_keeps_what_was_done(
    settings: Settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "saes"
    with monkeypatch.context() as patch:
        at_step(2 + 3, lambda: os.kill(os.getpid(), signal.SIGINT), patch)
        # A shell starts background jobs with Ctrl-C ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                train_saes(settings(save_every=60), out)
        finally:
            signal.signal(signal.SIGINT, before)
    steps = {
        layer: int(training.States(out, _inputs(settings())).load(Site(layer), torch.device("cpu"))["step"])
        for layer in (0, 2)
    }
    assert steps == {0: 2, 2: 1}  # the step that was cut into was ended first
    taken = 0
    step = Learner.step

    def counted(self: Learner, activations: torch.Tensor) -> None:
        nonlocal taken
        taken += 1
        step(self, activations)

    monkeypatch.setattr(Learner, "step", counted)
    train_saes(settings(save_every=60), out)
    assert taken == 2 + 2 * STEPS - 3
    assert content(out) == content(whole)


def _inputs(settings: TrainSaesSettings) -> Inputs:
    from sae_merge_method.train_saes.job import open_job

    return open_job(settings).inputs()


def test_little_memory_is_several_passes_and_the_same_bytes(
    settings: Settings, whole: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    train_saes(settings(memory="1"), tmp_path / "saes", report=said.append)
    assert "2 SAEs of 64 features on 384 tokens in 2 passes over the texts: about " in said[0]
    assert content(tmp_path / "saes") == content(whole)
