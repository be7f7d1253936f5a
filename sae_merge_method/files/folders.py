"""Folders that appear complete or not at all, whatever kills us on the way, and take nothing of others' away.

A new folder is claimed before the work on it begins, made in a hidden sibling, and put in its place only
if there is still what was there at first.
"""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import InUseError, UsageError
from sae_merge_method.files.descriptors import sync_file, sync_folder
from sae_merge_method.files.kernel_lock import ON_WINDOWS
from sae_merge_method.files.lock import claimed, locked
from sae_merge_method.files.one_step import swap_names
from sae_merge_method.files.scratch import scratch_folder, siblings
from sae_merge_method.files.standing import Standing
from sae_merge_method.files.writing import umask

LOG = logging.getLogger(__name__)

_OCCUPIED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
_TRIES = 10


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes ``path`` when the block ends well.

    Enter it before long work begins: from then on no other process writes ``path``. An existing ``path``
    is left as it was if the block fails, and is replaced only after success and only with ``overwrite``,
    in one step where the system can (Linux, macOS); an empty folder counts as absent. With ``sync`` all is
    on the disk before the new name appears. Windows renames no folder in which a file is open: there the
    lock inside ``path`` is let go for the moment of the exchange.

    Raises:
        UsageError: ``path`` is a file, or a folder with something in it, without ``overwrite``.
        InUseError: Another process writes there or in it, or something appeared there meanwhile, which is
            kept.
    """
    _require_free(path, overwrite)
    if path.is_symlink():
        path = path.resolve()  # what the link points to is replaced, not the link
    with ExitStack() as stack:
        stack.enter_context(_claimed(path))
        inside = stack.enter_context(ExitStack())
        _require_free(path, overwrite)  # whom we waited for may have filled it
        before = None
        if path.exists() and any(path.iterdir()):
            inside.enter_context(locked(path))
            before = Standing(path)
        temporary = stack.enter_context(scratch_folder(path, "new"))
        yield temporary
        temporary.chmod(0o777 & ~umask())
        if sync:
            _sync_tree(temporary)
        if ON_WINDOWS:
            inside.close()
        _put(temporary, path, before)
        if sync:
            sync_folder(path.parent)


def _require_free(path: Path, overwrite: bool) -> None:
    if path.name in ("", ".."):
        raise UsageError(f"expected the name of a folder to make, got {path}: name it from outside")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not path.is_dir():
            raise UsageError(f"expected a folder to write at {path}, found a file")
        if not overwrite:
            raise UsageError(f"{path} exists and is not empty: name another folder or pass --overwrite")


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Hold a claim; parents are made, and go again if nothing comes of it."""
    made = [parent for parent in path.parents if not parent.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)
        for tries_left in reversed(range(_TRIES)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(claimed(path))
                break
            except FileNotFoundError:  # another run, which made the parents too, has just removed them
                if not tries_left:
                    raise
        _recover(path)
        yield


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):  # something is in it: so are the others
        for folder in folders:
            folder.rmdir()


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(root) / name)
        sync_folder(Path(root))


def _put(new: Path, target: Path, before: Standing | None) -> None:
    """Give ``new`` its name; what stood there is then at ``new``.

    Raises:
        InUseError: Something else than ``before`` stands there, and still does.
    """
    if before is None:
        try:
            if ON_WINDOWS and target.is_dir():
                target.rmdir()  # an empty folder gives way by itself elsewhere
            new.rename(target)  # which no folder with anything in it, and no file, gives way to
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
            raise InUseError(
                f"something appeared at {target} while this ran: it stays as it is, and the result was not "
                "put in its place"
            ) from None
        return
    before.require_same()
    _swap(new, target)
    try:
        before.require_same(at=new)  # until the very exchange
    except InUseError:
        _swap(new, target)
        raise


def _swap(one: Path, other: Path) -> None:
    """Let two folders swap names."""
    if swap_names(one, other):
        return
    # Three steps: a kill after the first leaves the folder to be recovered.
    aside = Path(tempfile.mkdtemp(dir=other.parent, prefix=f".{other.name}.old."))
    old = other.rename(aside / other.name)
    try:
        one.rename(other)
    except BaseException:
        old.rename(other)
        aside.rmdir()
        raise
    old.rename(one)
    aside.rmdir()


def _recover(path: Path) -> None:
    """Bring back what a killed run had taken away; we hold the claim, so nobody else is at it."""
    for aside in siblings(path, "old"):
        if not path.exists() and (aside / path.name).is_dir():
            (aside / path.name).rename(path)
            LOG.warning("%s is back: a run was killed while it was being replaced", path)
        shutil.rmtree(aside, ignore_errors=True)
