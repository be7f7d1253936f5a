"""What a trial is of: kept in its folder, and no two sizes or sets of abilities in one folder."""

import json

import pytest
from click.testing import CliRunner

from sae_merge_method.errors import UsageError
from tests.trials.laid import lay_out_trial
from trials.__main__ import main
from trials.folder import TrialFolder
from trials.record import begin, read_record
from trials.sizes import SIZES, Sizes
from trials.trainings import trained_abilities

ALL = trained_abilities("smollm2-135m")
FEW = ("letters",)


def test_a_trial_that_was_begun_goes_on_with_its_sizes_and_abilities(tmp_path):
    begun = begin(TrialFolder(tmp_path), "sharp", ALL, "cpu")
    assert begun.sizes == SIZES["sharp"] != SIZES["small"]
    assert begun.abilities == ALL
    for abilities in (ALL, FEW):  # fewer are some of its commands
        assert begin(TrialFolder(tmp_path), "sharp", abilities, "cpu") == begun
    assert read_record(TrialFolder(tmp_path)) == begun


def test_a_folder_of_other_sizes_is_refused_and_left_as_it_is(tmp_path):
    begun = begin(TrialFolder(tmp_path), "sharp", ALL, "cpu")
    with pytest.raises(UsageError, match=r"of the sizes 'small'.*one of 'sharp'.*another --out"):
        begin(TrialFolder(tmp_path), "small", ALL, "cpu")
    assert read_record(TrialFolder(tmp_path)) == begun


def test_a_folder_begun_with_other_abilities_is_refused_before_anything_is_made(tmp_path):
    folder = TrialFolder(tmp_path / "smollm2-135m")
    begun = begin(folder, "small", FEW, "cpu")
    words = r"of the abilities arithmetic, letters, sorting in .*, got one of letters: .*another --out"
    with pytest.raises(UsageError, match=words):
        CliRunner().invoke(main, ["run", "--out", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UsageError, match="of the abilities sorting in"):
        begin(folder, "small", ("sorting",), "cpu")
    assert read_record(folder) == begun
    assert [file.name for file in folder.root.iterdir()] == ["trial.json"]


def test_a_trial_that_an_older_version_began_is_of_the_abilities_that_its_texts_are_of(tmp_path):
    begun = begin(TrialFolder(tmp_path), "small", FEW, "cpu").model_dump(mode="json")
    del begun["abilities"]
    (tmp_path / "trial.json").write_text(json.dumps(begun))
    assert read_record(TrialFolder(tmp_path)).abilities == ()
    folder = lay_out_trial(tmp_path)
    assert begin(folder, "small", ("sums",), "cpu").abilities == ("sums", "words")
    with pytest.raises(UsageError, match="got one of sums, words"):
        begin(folder, "small", ("sums", "sorting"), "cpu")
    (tmp_path / "trial.json").unlink()
    assert begin(folder, "small", ("sums",), "cpu").abilities == ("sums", "words")


def test_without_a_record_a_trial_is_of_the_first_sizes(tmp_path):
    assert read_record(TrialFolder(tmp_path)).sizes == Sizes() == next(iter(SIZES.values()))
