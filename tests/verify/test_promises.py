"""What the manual promises of ``sae-merge verify``: a test for each line, whose docstring is that line."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.cli.verify import command
from sae_merge_method.merge.in_place import edit_in_place
from tests.merged import BESIDE_IMAGES, BESIDE_TEXT, rename_models
from tests.recipes import recipe_text
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite

PAGE = Path(__file__).parents[2] / "docs" / "share.md"


def audited(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [str(folder), *words])


@pytest.mark.parametrize("name", ["config.json", *BESIDE_TEXT, *BESIDE_IMAGES])
def test_all_that_decides_what_is_loaded_is_covered(tmp_path, merged_multimodal, name):
    """Proved covers all that decides what a model loads and generates: weights, config, generation settings,
    tokenizer, chat templates, processor."""
    out = merged_multimodal.copy(tmp_path / "out")
    assert audited(out).exit_code == 0
    text = (out / name).read_text()
    if name.endswith(".json"):
        (out / name).write_text(json.dumps(json.loads(text) | {"another": 1}))
    else:
        (out / name).write_text(text + "x")
    result = audited(out)
    assert result.exit_code == 1 and f"VIOLATED    {name}: " in result.output


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "pytorch_model.bin", "consolidated.safetensors", "model-q4.gguf"]
)
def test_what_a_loader_would_take_instead_is_a_violation(tmp_path, merged, name):
    """What a loader would take in place of the weights, or on top of them, is a violation."""
    out = merged.copy(tmp_path / "out")
    (out / name).write_text("{}")
    result = audited(out)
    assert result.exit_code == 1 and f"VIOLATED    {name}: " in result.output


def test_what_is_not_covered_is_named(tmp_path, merged):
    """What is not covered is named under "not proved", never passed over."""
    out = merged.copy(tmp_path / "out")
    (out / "projector").mkdir()
    (out / "tokenizer.json").unlink()
    (out / "edit_report.json").unlink()
    result = audited(out)
    assert result.exit_code == 0
    assert "not proved  what else lies in the folder: projector/\n" in result.output
    assert "not proved  the tokenizer as a whole: the checkpoint leaves it to the base" in result.output


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", Q_PROJ, CLOSED])
def test_without_base_and_donor_the_hashes_are_held_against(tmp_path, merged, name):
    """Without base and donor, weights, config and tokenizer are held against the hashes in `edit_report.json`."""
    out = merged.copy(tmp_path / "out")
    assert audited(out).exit_code == 0
    if name.endswith(".json"):
        (out / name).write_text((out / name).read_text() + "\n")
    else:
        rewrite(out, flip_one_bit(name))
    result = audited(out)
    assert result.exit_code == 1 and f"VIOLATED    {name}: " in result.output


def test_base_and_donors_are_named(tmp_path, merged):
    """Base and donors are named by path, revision and hash."""
    snapshot = merged.copy_base(tmp_path / "models--me--base" / "snapshots" / "abc123")
    shown = audited(merged.out, "--base", str(snapshot)).output
    base = rf"against     the base {merged.base} at {snapshot} \(revision abc123; config [0-9a-f]{{16}}, "
    assert re.search(base + r"54 tensors [0-9a-f]{16}\)", shown)
    donor = rf"against     the donor {merged.donor} at {merged.donor} \(no revision, a folder; config [0-9a-f]{{16}}"
    assert re.search(donor, shown)


def test_a_base_that_is_the_checkpoint_itself_proves_nothing(tmp_path, merged):
    """A base that is the checkpoint itself proves nothing, and the exit code is 1."""
    out = merged.copy(tmp_path / "out")
    (tmp_path / "link").symlink_to(out)
    rename_models(out, str(tmp_path / "link"), str(merged.donor))
    result = audited(out)
    assert result.exit_code == 1 and "  proved " not in result.output
    assert result.output.endswith("nothing is proved\n")
    rename_models(out, str(out), str(out))
    result = audited(out)
    assert result.exit_code == 1 and "  proved " not in result.output
    assert result.output.endswith("nothing is proved\n")


def test_an_edit_in_place_is_proved_through_its_journal(tmp_path, merged):
    """An edit in place is proved through its journal."""
    folder = merged.copy_base(tmp_path / "model")
    recipe = RecipeText(recipe_text(folder, merged.donor, weight="0.5"), "recipe.yml")
    edit_in_place(recipe, options={"quiet": True})
    result = audited(folder)
    assert result.exit_code == 0, result.output
    assert "proved      26 edited tensors: base + weight * (donor - base), bit for bit" in result.output
    shutil.rmtree(folder / ".sae-merge-journal")
    assert audited(folder).exit_code == 1


def test_a_statement_is_written_only_of_what_is_proved(tmp_path, merged):
    """A statement is written only of what is proved."""
    file = tmp_path / "out.intoto.json"
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    assert audited(out, "--statement", str(file)).exit_code == 1 and not file.exists()
    assert audited(merged.out, "--statement", str(file)).exit_code == 0 and file.exists()


def test_every_promise_of_the_manual_is_a_docstring_here():
    if not PAGE.is_file():
        pytest.skip("no manual beside the tests")
    _, _, after = PAGE.read_text(encoding="utf-8").partition("What `verify` promises")
    lines = re.findall(r"^- (.*(?:\n  .*)*)", after.partition("\n\n")[2].partition("\n\n")[0], re.MULTILINE)
    promises = {" ".join(line.split()) for line in lines}
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    assert promises == {" ".join(test.__doc__.split()) for test in tests if test.__doc__}
