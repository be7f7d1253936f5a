"""The cache: whole entries only, under keys of what they depend on."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from platformdirs.macos import MacOS
from platformdirs.windows import Windows

from sae_merge_method.files.cache import cache_key, cache_root, cached_folder, is_sealed, seal
from sae_merge_method.files.folders import new_folder


@pytest.fixture
def made(tmp_path):
    """An entry, and how often it was made."""
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "part").mkdir()
        (folder / "part" / "weights").write_bytes(b"weights")

    return tmp_path / "root" / "entry", make, calls


def test_an_entry_is_made_once(made):
    entry, make, calls = made
    assert cached_folder(entry, make) == cached_folder(entry, make) == entry
    assert len(calls) == 1
    assert is_sealed(entry)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "part" / "weights").write_bytes(b"weightz"),
        lambda entry: (entry / "part" / "weights").unlink(),
        lambda entry: (entry / "more").write_bytes(b""),
        lambda entry: (entry / "seal.json").unlink(),
        lambda entry: (entry / "seal.json").write_text("{"),
    ],
    ids=["changed", "file gone", "file more", "seal gone", "seal damaged"],
)
def test_a_damaged_entry_is_made_again(made, damage, caplog):
    entry, make, calls = made
    cached_folder(entry, make)
    damage(entry)
    assert not is_sealed(entry)
    cached_folder(entry, make)
    assert len(calls) == 2
    assert is_sealed(entry)
    assert (entry / "part" / "weights").read_bytes() == b"weights"
    assert "damaged" in caplog.text


def test_an_interrupted_making_leaves_nothing(made):
    entry, _, _ = made

    def interrupted(folder):
        (folder / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_folder(entry, interrupted)
    assert not entry.parent.exists()


def test_what_another_process_is_making_is_waited_for_and_not_made_twice(made, monkeypatch, caplog):
    entry, make, calls = made
    with ExitStack() as stack:
        others = stack.enter_context(new_folder(entry))
        make(others)
        seal(others)
        # Our second's sleep is the other's last one.
        monkeypatch.setattr("sae_merge_method.files.cache.time.sleep", lambda seconds: stack.close())
        with caplog.at_level("INFO"):
            assert cached_folder(entry, make) == entry
    assert calls == [others]
    assert f"waiting: {entry} is being written by process" in caplog.text


def test_the_cache_lies_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "sae-merge"
    for unset in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert cache_root() == tmp_path / "home" / ".cache" / "sae-merge"


def test_without_it_the_cache_lies_where_each_system_keeps_caches(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/Users/me")
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", r"C:\Users\me\AppData\Local")
    monkeypatch.setattr("platformdirs.PlatformDirs", MacOS)
    assert cache_root() == Path("/Users/me/Library/Caches/sae-merge")
    monkeypatch.setattr("platformdirs.PlatformDirs", Windows)
    assert cache_root() == Path(r"C:\Users\me\AppData\Local") / "sae-merge" / "Cache"


def test_a_key_depends_on_the_values_and_not_on_their_order():
    assert cache_key({"a": 1, "b": 2}) == cache_key({"b": 2, "a": 1})
    assert cache_key({"a": 1}) != cache_key({"a": 2})
