"""Several seeds: how many support each claim. That standing demos are gone on with is in test_demo."""

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.demo import command
from sae_merge_method.errors import UsageError
from sae_merge_method.miniature.seeds import ANSWERS, over_seeds
from sae_merge_method.reports.grid import as_text
from tests.experiment.report.folders import BASE, PICK, Laid, collected


def test_each_claim_has_a_row_that_says_how_many_seeds_give_which_answer(tmp_path):
    better, worse = Laid("scalpel", (20, 10)), Laid("scalpel", (80, 40))
    experiments = {
        seed: collected(tmp_path / str(seed), [BASE, PICK, other], layers=(2, 3 + seed))
        for seed, other in enumerate((better, better, worse))
    }
    over = over_seeds(experiments)
    assert over.answers["the raw task vector beats its projection"] == {"yes": 2, "no": 1}
    assert all(sum(counted.values()) == 3 for counted in over.answers.values())
    lines = as_text(over.grid).splitlines()
    assert lines[0].split()[:2] == ["claim", "yes"]
    row = next(line for line in lines if line.startswith("the raw task vector beats its projection"))
    assert row.split()[-4:] == ["2", "1", "0", "0"] and len(ANSWERS) == 4
    assert over.picks == "Layers picked by seed: 0: 2, 3; 1: 2, 4; 2: 2, 5."


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--seeds", "two"]])
def test_a_number_of_seeds_is_a_number_from_one(tmp_path, words):
    assert CliRunner().invoke(command, ["--out", str(tmp_path / "out"), *words]).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_folder_of_one_seed_is_not_taken_for_that_of_several(tmp_path):
    (tmp_path / "miniature.json").write_text("{}")
    result = CliRunner().invoke(command, ["--out", str(tmp_path), "--seeds", "2"])
    assert isinstance(result.exception, UsageError)
    assert "holds a demo of one seed" in str(result.exception)
