"""``sae-merge train-saes`` as a user types it: its options are its settings, its errors are sentences."""

from pathlib import Path

import click
import pytest

from sae_merge_method.cli.train_saes import command
from sae_merge_method.errors import UsageError
from sae_merge_method.train_saes.settings import TrainSaesSettings
from tests.diagnose import hosts
from tests.diagnose.command import run


def test_every_setting_is_an_option_with_help_of_its_own() -> None:
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    assert set(TrainSaesSettings.model_fields) <= set(options)
    for name in TrainSaesSettings.model_fields:
        assert len((options[name].help or "").split()) >= 3, name


def test_what_is_printed_is_a_table_of_saes_and_one_of_texts(tmp_path: Path) -> None:
    model = hosts.random_gemma3(tmp_path / "model")
    text = hosts.write_jsonl(tmp_path / "maths.jsonl", hosts.sentences(hosts.MATHS, 20, seed=0))
    options = ["--layers", "1", "--hook", "resid_post,mlp_out", "--width", "40", "--k", 4, "--tokens", "128"]
    few = ["--step-tokens", 64, "--held-out", 40, "--dtype", "float32"]
    done = run(command, "--model", model, "--text", f"{text}:2", "--out", tmp_path / "saes", *options, *few)
    assert "2 SAEs of 40 features on 128 tokens in one pass over the texts: about" in done.stderr
    first, *_ = done.stdout.splitlines()
    assert first == f"{model}: 2 SAEs, 128 tokens each"
    assert [line.split()[:3] for line in done.stdout.splitlines() if line.startswith("    1")] == [
        ["1", "resid_post", "40"],
        ["1", "mlp_out", "40"],
    ]
    assert (tmp_path / "saes/mlp_out/layer_1/cfg.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", "wide"], "a multiple such as 4x, got 'wide'"),
        (["--hook", "q"], "expected one of resid_post"),
    ],
)
def test_what_means_nothing_is_refused_with_what_was_expected(words: list[str], message: str) -> None:
    with pytest.raises((UsageError, click.UsageError), match=message):
        run(command, "--model", "m", "--text", "t", "--out", "o", *words)
