"""Hidden folders for work in progress: gone when the work ends, and of a killed run with the next."""

import pytest

from sae_merge_method.files.scratch import scratch_folder, siblings


def test_it_is_empty_hidden_beside_its_place_and_gone_when_the_work_ends(tmp_path):
    place = tmp_path / "made" / "out"
    with scratch_folder(place, "new") as folder:
        assert folder.parent == place.parent
        assert folder.name.startswith(".out.new.") and list(folder.iterdir()) == []
        (folder / "whole").write_text("whole")
        (folder / "whole").rename(place)
    assert list(place.parent.iterdir()) == [place]


def test_a_failure_leaves_nothing_either(tmp_path):
    with pytest.raises(RuntimeError), scratch_folder(tmp_path / "out", "new") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_and_what_is_at_work_stays(tmp_path):
    left = tmp_path / ".out.new.0badcafe"
    left.mkdir()
    (left / "half").write_text("half")
    of_another = tmp_path / ".other.new.0badcafe"
    of_another.mkdir()
    with scratch_folder(tmp_path / "out", "new") as first, scratch_folder(tmp_path / "out", "new") as second:
        assert sorted(tmp_path.iterdir()) == sorted([of_another, first, second])


def test_only_folders_of_such_a_name_are_siblings_and_no_links(tmp_path):
    (tmp_path / ".out.old.abcd1234").mkdir()
    (tmp_path / ".out.old.abcd1235").symlink_to(".out.old.abcd1234")
    (tmp_path / ".out.old.abcd1236").write_text("a file")
    (tmp_path / ".out.old.abc").mkdir()
    (tmp_path / ".outXold.abcd1234").mkdir()
    assert list(siblings(tmp_path / "out", "old")) == [tmp_path / ".out.old.abcd1234"]
    assert list(siblings(tmp_path / "out", "new")) == []
