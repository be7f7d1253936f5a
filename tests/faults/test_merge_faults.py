"""Whatever happens to a running merge, the old state or the new stands, and the message says which."""

import ctypes
import json
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sae_merge_method.files.lock import LOCK_FILE
from tests.faults.conftest import KEPT, names, state


@pytest.mark.parametrize("words", [["new"], ["out", "--overwrite"]])
def test_a_killed_merge_leaves_the_old_state_and_the_next_run_clears_up(work, sae_merge, words):
    before = state(work / "out")
    killed = sae_merge(
        "merge", "recipe.yml", *words, cwd=work, trouble="os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert killed.returncode == -signal.SIGKILL
    after = state(work / "out")
    assert {name: data for name, data in after.items() if name != LOCK_FILE} == before
    assert not (work / "new").exists()
    leftover, lock = sorted(set(names(work)) - set(KEPT), key=lambda name: name.endswith(LOCK_FILE))
    assert lock == f".{words[0]}{LOCK_FILE}"
    assert leftover.startswith(f".{words[0]}.new.")
    again = sae_merge("merge", "recipe.yml", *words, cwd=work)
    assert again.returncode == 0, again.stderr
    assert names(work) == sorted({*KEPT, words[0]})
    assert LOCK_FILE not in names(work / words[0])


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_of_two_merges_to_one_new_folder_the_second_is_refused_and_told_who_is_at_it(
    work, sae_merge, overwrite
):
    """And neither takes the running one's work for a leftover."""
    second = ["merge", "recipe.yml", "new", *overwrite]
    trouble = (
        "import subprocess; done = subprocess.run([sys.executable, '-m', 'sae_merge_method.cli.main', "
        f"*{second}], capture_output=True, text=True); print(os.getpid(), done.returncode, done.stderr)"
    )
    first = sae_merge("merge", "recipe.yml", "new", cwd=work, trouble=trouble)
    assert first.returncode == 0, first.stderr
    process, code, said = first.stdout.split(maxsplit=2)
    assert code == "1"
    assert f"new is being written by process {process} (sae-merge merge, since" in said
    assert "layers" in json.loads((work / "new" / "edit_report.json").read_text())
    assert names(work) == sorted([*KEPT, "new"])


FILLED = {
    "a new folder": (["new"], "something appeared at new"),
    "a folder to be replaced": (["out", "--overwrite"], "out/notes.txt appeared"),
}


@pytest.mark.parametrize("words, said", FILLED.values(), ids=FILLED.keys())
def test_what_a_user_puts_where_a_merge_will_write_is_kept_and_the_merge_fails(work, sae_merge, words, said):
    before = state(work / words[0])
    trouble = f"os.makedirs('{words[0]}', exist_ok=True); open('{words[0]}/notes.txt', 'w').write('mine')"
    done = sae_merge("merge", "recipe.yml", *words, cwd=work, trouble=trouble)
    assert done.returncode == 1
    assert f"{said} while this ran" in done.stderr and "Traceback" not in done.stderr
    assert state(work / words[0]) == before | {"notes.txt": b"mine"}
    assert names(work) == sorted({*KEPT, words[0]})


def test_ctrl_c_leaves_the_old_state_and_says_so(work, sae_merge):
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


def test_a_full_disk_leaves_nothing_and_says_what_was_needed(work, sae_merge, full_disk):
    folder, limit = full_disk
    done = sae_merge("merge", "recipe.yml", folder / "out", cwd=work, before=limit)
    assert done.returncode == 1
    assert "has no room" in done.stderr or "was not written" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert names(folder) == []


def test_a_write_that_fails_half_way_leaves_nothing_and_names_the_state(work, sae_merge):
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


def test_a_read_only_folder_is_named(work, sae_merge):
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
def test_a_file_that_changes_under_us_is_noticed(work, sae_merge, change, side):
    trouble = CHANGES[change].format(file=f"{side}/model-00001-of-00002.safetensors")
    done = sae_merge("merge", "recipe.yml", "out", "--overwrite", cwd=work, trouble=trouble)
    assert done.returncode == 1, done.stderr
    assert f"{side}/model-00001-of-00002.safetensors" in done.stderr
    assert "chang" in done.stderr or "vanished" in done.stderr or "cut short" in done.stderr
    assert "layers" in json.loads((work / "out" / "edit_report.json").read_text())
    assert set(names(work)) <= {*KEPT, "copy"}
