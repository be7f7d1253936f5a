"""A diagnosis as a file to share, and the command line over it."""

from pathlib import Path

import pytest

from sae_merge_method.cli.diagnose import command
from sae_merge_method.diagnose.settings import DiagnoseSettings, read_settings
from sae_merge_method.errors import UsageError

NEEDED = {"model": "m", "sae": "s_{layer}", "target": "t.jsonl", "control": "c.jsonl"}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_holds_the_settings_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    config = write(tmp_path / "a.yml", "model: one\nsae: s_{layer}\ntarget: t\ncontrol: c\nmax_length: 99\n")
    settings = read_settings(config, {"model": "two"})
    assert (settings.model, settings.max_length, settings.seed) == ("two", 99, 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_lenght: 9", "max_lenght: unknown key"),
        ("max_length: many", "max_length: .* got 'many'"),
        ("permutations: -1", "permutations: .* greater than or equal to 0"),
        ("dtype: float8", "dtype: .* got 'float8'"),
        ("- a", "expected settings such as model:"),
        ("a: [", "cannot read the configuration"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_settings(write(tmp_path / "a.yml", text), NEEDED)


def test_what_is_missing_is_named_as_an_option() -> None:
    with pytest.raises(UsageError, match="missing --sae, --control, on the command line or in --config"):
        read_settings(None, {"model": "m", "target": "t"})


def test_every_setting_is_an_option_with_the_same_default() -> None:
    options = command.make_context("diagnose", ["--out", "out"]).params
    defaults = DiagnoseSettings.model_validate(NEEDED).model_dump() | dict.fromkeys(NEEDED)
    assert options == defaults | {"out": Path("out"), "config": None, "overwrite": False}


def test_ready_configurations_are_whole_and_name_releases_that_cover_every_layer() -> None:
    """Layers as published: 18 in the 270M, 26 in the 1B, 34 in the 4B, 48 in the 12B model."""
    from importlib.resources import as_file, files

    from sae_merge_method.saes.find import find_saes

    for size, n_layers in {"270m": 18, "1b": 26, "4b": 34, "12b": 48}.items():
        with as_file(files("sae_merge_method.recipes") / f"diagnose/gemma-3-{size}-it.yml") as path:
            settings = read_settings(path, {})
        assert settings.model == f"google/gemma-3-{size}-it"
        found = find_saes(settings.sae, settings.sae_id, range(n_layers))
        assert len(found) == n_layers
