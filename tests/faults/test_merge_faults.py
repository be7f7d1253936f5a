"""Whatever happens to a merge, the old state or the new stands, and the message says which."""

import ctypes
import json
import resource
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.merge.run import run_recipe
from tests import tiny
from tests.faults.processes import sae_merge
from tests.merge.conftest import recipe_text

State = dict[str, bytes]


def state(folder: Path) -> State:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A base, a donor, two recipes, and a finished merge in ``out``."""
    tiny.gemma3_text(tmp_path / "base", 0, shards=2)
    tiny.gemma3_text(tmp_path / "donor", 1, shards=2)
    (tmp_path / "recipe.yml").write_text(recipe_text(Path("./base"), Path("./donor")))
    run_recipe(
        recipe_text(tmp_path / "base", tmp_path / "donor", 'layers: "0"'), "r", tmp_path / "out", sync=False,
        options={"quiet": True},
    )  # fmt: skip
    return tmp_path


KEPT = ["base", "donor", "out", "recipe.yml"]


@pytest.mark.parametrize("words", [["new"], ["out", "--overwrite"]])
def test_a_killed_merge_leaves_the_old_state_and_the_next_run_clears_up(work, words):
    before = state(work / "out")
    killed = sae_merge(
        "merge", "recipe.yml", *words, cwd=work, trouble="os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert killed.returncode == -signal.SIGKILL
    assert state(work / "out") == before
    assert not (work / "new").exists()
    (leftover,) = set(names(work)) - set(KEPT)
    assert leftover.startswith(f".{words[0]}.new.")
    again = sae_merge("merge", "recipe.yml", *words, cwd=work)
    assert again.returncode == 0, again.stderr
    assert names(work) == sorted({*KEPT, words[0]})


def test_a_running_merge_is_not_taken_for_a_leftover(work):
    (work / "nested.yml").write_text(recipe_text(Path("./base"), Path("./donor")))
    trouble = (
        "import subprocess; subprocess.run([sys.executable, '-m', 'sae_merge_method.cli.main', 'merge', "
        "'nested.yml', 'new'], check=True, capture_output=True)"
    )
    outer = sae_merge("merge", "recipe.yml", "new", "--overwrite", cwd=work, trouble=trouble)
    assert outer.returncode == 0, outer.stderr
    assert names(work) == sorted([*KEPT, "new", "nested.yml"])


def test_ctrl_c_leaves_the_old_state_and_says_so(work):
    before = state(work / "out")
    trouble = "os.kill(os.getpid(), signal.SIGINT); time.sleep(0.3)"

    def at_a_terminal() -> None:
        # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    for words, said in ((["new"], "new was not written"), (["out", "--overwrite"], "out is as it was")):
        done = sae_merge("merge", "recipe.yml", *words, cwd=work, trouble=trouble, before=at_a_terminal)
        assert done.returncode == 130
        assert said in done.stderr and "interrupted" in done.stderr
        assert "Traceback" not in done.stderr
    assert state(work / "out") == before
    assert names(work) == KEPT


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None] | None]]:
    """A folder on a disk too small for the merge: a real one where we may mount it, else a size limit."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", small], capture_output=True, check=False
    )
    try:
        if mounted.returncode == 0:
            yield small, None
        else:
            yield small, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", small], check=True)


def test_a_full_disk_leaves_nothing_and_says_what_was_needed(work, full_disk):
    folder, limit = full_disk
    done = sae_merge("merge", "recipe.yml", folder / "out", cwd=work, before=limit)
    assert done.returncode == 1
    assert "has no room" in done.stderr or "was not written" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert names(folder) == []


def test_a_write_that_fails_half_way_leaves_nothing_and_names_the_state(work):
    """The limit lets the first shard's copy through, and stops the second, larger file."""
    sizes = sorted(path.stat().st_size for path in (work / "base").glob("*.safetensors"))
    limit = (sizes[0] + sizes[1]) // 2

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = sae_merge("merge", "recipe.yml", "new", cwd=work, before=limited)
    assert done.returncode == 1
    assert "File too large" in done.stderr and "(new was not written)" in done.stderr
    assert names(work) == KEPT


def without_the_powers_of_root() -> None:
    """Root passes over permission bits; a child without these two capabilities does not."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; for other users it fails, and is not needed


def test_a_read_only_folder_is_named(work):
    (work / "locked").mkdir(mode=0o555)
    done = sae_merge("merge", "recipe.yml", "locked/out", cwd=work, before=without_the_powers_of_root)
    assert done.returncode == 1
    assert "Permission denied: " in done.stderr and "(locked/out was not written)" in done.stderr
    assert names(work / "locked") == []


CHANGES = {
    "overwritten": "open('{file}', 'r+b').write(b'x')",
    "replaced": "open('copy', 'wb').write(open('{file}', 'rb').read()); os.replace('copy', '{file}')",
    "cut short": "os.truncate('{file}', 1000)",
    "removed": "os.remove('{file}')",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("side", ["base", "donor"])
def test_a_file_that_changes_under_us_is_noticed(work, change, side):
    trouble = CHANGES[change].format(file=f"{side}/model-00001-of-00002.safetensors")
    done = sae_merge("merge", "recipe.yml", "out", "--overwrite", cwd=work, trouble=trouble)
    assert done.returncode == 1, done.stderr
    assert f"{side}/model-00001-of-00002.safetensors" in done.stderr
    assert "chang" in done.stderr or "vanished" in done.stderr or "cut short" in done.stderr
    assert "layers" in json.loads((work / "out" / "edit_report.json").read_text())
    assert set(names(work)) <= {*KEPT, "copy"}


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def lying_length(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(struct.pack("<Q", struct.unpack("<Q", data[:8])[0] + 64) + data[8:])


def overlapping(file: Path) -> None:
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    for entry in entries:
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        entry["data_offsets"] = [0, size]
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize("damage", [truncated, lying_length, overlapping])
@pytest.mark.parametrize("side", ["base", "donor"])
def test_damaged_weights_are_refused_before_a_byte_is_written(work, damage, side):
    before = state(work / "out")
    damage(work / side / "model-00002-of-00002.safetensors")
    with pytest.raises(SaeMergeError, match=rf"{side}/model-00002-of-00002\.safetensors"):
        run_recipe(
            recipe_text(work / "base", work / "donor"),
            "r",
            work / "out",
            overwrite=True,
            options={"quiet": True},
        )
    assert state(work / "out") == before
    assert names(work) == KEPT


def test_links_and_dots_never_lead_out_of_the_named_folders(work):
    secret = work / "secret.safetensors"
    shard = work / "donor" / "model-00001-of-00002.safetensors"
    shard.rename(secret)
    shard.symlink_to(secret)
    source = recipe_text(work / "base", work / "donor")
    with pytest.raises(SaeMergeError, match=r"leads to .*secret\.safetensors, outside"):
        run_recipe(source, "r", work / "new", options={"quiet": True})
    shard.unlink()
    secret.rename(shard)
    (work / "base" / "tokenizer.json").symlink_to("/etc/passwd")
    with pytest.raises(SaeMergeError, match="leads to /etc/passwd, outside"):
        run_recipe(source, "r", work / "new", options={"quiet": True})
    (work / "base" / "tokenizer.json").unlink()
    index = work / "donor" / "model.safetensors.index.json"
    text = index.read_text()
    index.write_text(
        text.replace("model-00001-of-00002.safetensors", "../base/model-00001-of-00002.safetensors")
    )
    with pytest.raises(SaeMergeError, match="expected a file name inside"):
        run_recipe(source, "r", work / "new", options={"quiet": True})
    assert not (work / "new").exists()


def test_links_of_a_hub_snapshot_lead_into_its_own_store(work):
    store = work / "models--someone--donor"
    (store / "snapshots" / "0123abcd").mkdir(parents=True)
    (work / "donor").rename(store / "blobs")
    for number, path in enumerate(sorted((store / "blobs").iterdir())):
        blob = path.rename(store / "blobs" / f"{number:064x}")
        (store / "snapshots" / "0123abcd" / path.name).symlink_to(Path("../../blobs") / blob.name)
    source = recipe_text(work / "base", store / "snapshots" / "0123abcd")
    report = run_recipe(source, "r", work / "new", sync=False, options={"quiet": True})
    assert len(report.edited()) == 26


@pytest.mark.parametrize("out", ["base", "donor", "."])
def test_overwrite_never_takes_away_what_the_recipe_reads(work, out):
    before = state(work)
    with pytest.raises(SaeMergeError, match="which the recipe reads"):
        run_recipe(
            recipe_text(work / "base", work / "donor"),
            "r",
            work / out,
            overwrite=True,
            options={"quiet": True},
        )
    assert state(work) == before


def test_an_output_that_is_a_link_keeps_being_one(work):
    (work / "elsewhere").mkdir()
    (work / "link").symlink_to("elsewhere")
    source = recipe_text(work / "base", work / "donor")
    run_recipe(source, "r", work / "link", sync=False, options={"quiet": True})
    assert (work / "link").is_symlink()
    assert (work / "elsewhere" / "edit_report.json").exists()
    assert names(work) == sorted([*KEPT, "elsewhere", "link"])
