"""A diagnosis as a file to share, and the command line over it."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import UsageError

NEEDED = {"model": "m", "sae": "s_{layer}", "target": "t.jsonl", "control": "c.jsonl"}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_holds_the_settings_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    config = write(tmp_path / "a.yml", "model: one\nsae: s_{layer}\ntarget: t\ncontrol: c\nmax_length: 99\n")
    settings = read_settings(DiagnoseSettings, {"model": "two"}, config)
    assert (settings.model, settings.max_length, settings.seed) == ("two", 99, 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_lenght: 9", "max_lenght: unknown key"),
        ("max_length: many", "max_length: .* got 'many'"),
        ("permutations: -1", "permutations: .* greater than or equal to 0"),
        ("dtype: float8", "dtype: .* got 'float8'"),
        ("memory: much", "memory: expected an amount of memory such as 6G"),
        ("score: kl", "score: expected one of kl_bits, js_bits"),
        ("select: best=3", "select: unknown selection rule 'best=3': expected top_k=6"),
        ("- a", "expected settings such as model:"),
        ("a: [", "cannot read the settings"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_settings(DiagnoseSettings, NEEDED, write(tmp_path / "a.yml", text))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="sae: Field required\n  control: Field required"):
        read_settings(DiagnoseSettings, {"model": "m", "target": "t"})


def test_only_what_changes_an_encoding_forbids_to_resume() -> None:
    later = {"layers", "memory", "score", "permutations", "bootstrap", "seed", "select", "snippets", "donor"}
    settings = DiagnoseSettings.model_validate(NEEDED)
    assert set(settings.of_encoding("float32", "cpu")) == set(DiagnoseSettings.model_fields) - later


def test_every_setting_that_can_change_a_number_is_recorded() -> None:
    recorded = DiagnoseSettings.model_validate(NEEDED).recorded("float32", "cuda")
    elsewhere = {*NEEDED, "sae_id", "score"}
    change_no_number = {"memory", "select", "donor"}
    assert set(recorded) - {"epsilon"} == set(DiagnoseSettings.model_fields) - elsewhere - change_no_number
    assert (recorded["dtype"], recorded["device"]) == ("float32", "cuda")
