"""What a trial is of: kept in its folder, and no two sizes in one folder."""

import pytest

from sae_merge_method.errors import UsageError
from trials.folder import TrialFolder
from trials.record import begin, read_record
from trials.sizes import SIZES, Sizes


def test_a_trial_that_was_begun_goes_on_with_its_sizes(tmp_path):
    begun = begin(TrialFolder(tmp_path), "sharp", "cpu")
    assert begun.sizes == SIZES["sharp"] != SIZES["small"]
    assert begin(TrialFolder(tmp_path), "sharp", "cpu") == begun == read_record(TrialFolder(tmp_path))


def test_a_folder_of_other_sizes_is_refused_and_left_as_it_is(tmp_path):
    begun = begin(TrialFolder(tmp_path), "sharp", "cpu")
    with pytest.raises(UsageError, match=r"of the sizes 'small'.*one of 'sharp'.*another --out"):
        begin(TrialFolder(tmp_path), "small", "cpu")
    assert read_record(TrialFolder(tmp_path)) == begun


def test_without_a_record_a_trial_is_of_the_first_sizes(tmp_path):
    assert read_record(TrialFolder(tmp_path)).sizes == Sizes() == next(iter(SIZES.values()))
