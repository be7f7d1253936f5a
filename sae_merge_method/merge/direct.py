"""The direct engine: copy the base by the kernel, and write the changed tensors' bytes into the copy.

Only the selected layers of base and donors are read and computed. The copy keeps the base's own
shards, names and header bytes, so every layout comes out as it went in. What an edit of one
tensor is lives in ``tensor_edit``; what the folder holds beside the weights, in ``beside_weights``.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

from sae_merge_method.artifacts.edit_report import EditReport, TensorReport
from sae_merge_method.files.copying import Copying, place_file
from sae_merge_method.files.descriptors import open_plain, sync, write_at
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.files.parallel import Advance, bytes_bar, run_all
from sae_merge_method.files.regular import read_regular
from sae_merge_method.merge.beside_weights import copied_hashes
from sae_merge_method.merge.job import Job
from sae_merge_method.merge.report import report_of
from sae_merge_method.merge.tensor_edit import EditedTensor, TensorTask, Write, edit_tensor, tensor_tasks
from sae_merge_method.models.beside_weights import side_file_hashes
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.shards import INDEX_FILE, file_inside

# Options that ask for something only mergekit does.
_ONLY_MERGEKIT = (
    "async_write", "clone_tensors", "cuda", "device", "gpu_rich", "low_cpu_memory", "multi_gpu",
    "out_shard_size", "random_seed", "read_to_gpu", "write_threads",
)  # fmt: skip


def why_not_direct(job: Job) -> str | None:
    """What in a job is beyond the direct engine, in words; None where nothing is."""
    recipe = job.resolved.recipe
    written = job.precision.written
    if written is not None and job.base.dtypes() != {written}:
        return f"writing {written} over a {'/'.join(sorted(job.base.dtypes()))} base changes every tensor"
    if recipe.chat_template:
        return "it copies the base's tokenizer as it is, and the recipe asks for another chat template"
    asked = [name for name in _ONLY_MERGEKIT if job.options.get(name)]
    return f"--{asked[0].replace('_', '-')} is mergekit's" if asked else None


def run_direct(job: Job, folder: Path, *, link: bool = False, hash_all: bool = False) -> EditReport:
    """Write the edited weights into ``folder``, which holds the config already and no weights.

    Args:
        job: One that :func:`why_not_direct` has nothing against.
        folder: Where to write.
        link: Hard-link files that stay as they are, if the file system allows.
        hash_all: Take sha256 of the base's tensors too, not of the edited ones alone.

    Raises:
        MergeError: A tensor cannot be edited, or a file changed under us; ``folder`` is then
            incomplete.
    """
    tasks = tensor_tasks(job.plan, job.base, job.donors, job.precision)
    copies = [_place_shard(job, file, tasks, folder, link) for file in job.base.files]
    _place_index(job.base, folder)
    total = sum(last - first for copy in copies for first, last in copy.spans)
    total += sum(entry.nbytes for entry in job.base.tensors.values())
    with bytes_bar(total, "merging", quiet=job.quiet) as advance:
        with WeightFiles(job.checkpoints) as files, TensorWriters(folder) as writers:
            # While the kernel copies on one thread, the others compute.
            copying = [partial(copy.run, advance) for copy in copies]
            edited = edit_tensors(job, tasks, files, advance, writers.into, meanwhile=copying)
            files.require_unchanged()
        job.base.require_unchanged()
        merged = open_checkpoint(folder)
        with WeightFiles([merged]) as files:
            kept = kept_reports(job, tasks, merged, files, advance, with_sha256=hash_all)
    return report_of(job, side_file_hashes(folder), [*edited_reports(edited), *kept])


def edit_in_memory(
    job: Job, tasks: Iterable[TensorTask], into: Callable[[TensorEntry], Write], kept: Mapping[str, Hashes]
) -> EditReport:
    """Hand the bytes of all edited tensors on, and report the merge that would have written them.

    Args:
        job: One that :func:`why_not_direct` has nothing against.
        tasks: Its tensors.
        into: From a tensor of the base to what takes its new bytes; of any thread.
        kept: Hashes of the base's tensors by name, for those that stay.

    Raises:
        MergeError: A tensor cannot be edited, or a file changed under us; what was handed on is then
            incomplete.
    """
    with WeightFiles(job.checkpoints) as files:
        edited = edited_reports(edit_tensors(job, tasks, files, lambda _: None, into))
        files.require_unchanged()
    names = {report.name for report in edited}
    left = [entry for name, entry in job.base.tensors.items() if name not in names]
    stay = [TensorReport.of(entry, kept[entry.name], "base") for entry in left]
    return report_of(job, copied_hashes(job), [*edited, *stay])


def edit_tensors(
    job: Job,
    tasks: Iterable[TensorTask],
    files: WeightFiles,
    advance: Advance,
    into: Callable[[TensorEntry], Write] | None = None,
    meanwhile: Iterable[Callable[[], None]] = (),
) -> list[EditedTensor]:
    """Edit tensors, several at a time.

    Args:
        job: The edit.
        tasks: Its tensors.
        files: Open files of base and donors.
        advance: Told how many bytes are done.
        into: From a tensor of the base to what writes its new bytes; None writes nothing.
        meanwhile: Calls to make on the same threads, begun before the tensors.

    Raises:
        MergeError: See :func:`~sae_merge_method.merge.tensor_edit.edit_tensor`.
    """
    with job.filtering() as change:
        calls: list[Callable[[], EditedTensor | None]] = list(meanwhile)
        for task in tasks:
            write = into(task.base) if into is not None else None
            calls.append(partial(edit_tensor, task, change, files, write, advance))
        done = run_all(calls, job.threads)
    return [edited for edited in done if edited is not None]


def edited_reports(edited: Iterable[EditedTensor]) -> list[TensorReport]:
    """What became of the selected layers' tensors."""
    return [TensorReport.of(one.task.base, one.hashes, "edited", one.sums) for one in edited]


def kept_reports(
    job: Job,
    tasks: Iterable[TensorTask],
    checkpoint: Checkpoint,
    files: WeightFiles,
    advance: Advance,
    *,
    with_sha256: bool = False,
) -> list[TensorReport]:
    """What a checkpoint holds beside the edited tensors, hashed where it lies."""
    edited = {task.base.name for task in tasks}
    kept = [entry for name, entry in checkpoint.tensors.items() if name not in edited]
    calls = [partial(files.hashes, entry, with_sha256=with_sha256, advance=advance) for entry in kept]
    hashes = run_all(calls, job.threads)
    return [TensorReport.of(entry, its, "base") for entry, its in zip(kept, hashes, strict=True)]


def _place_shard(job: Job, file: Path, tasks: Iterable[TensorTask], folder: Path, link: bool) -> Copying:
    spans = [(task.base.start, task.base.end) for task in tasks if task.base.file == file]
    return place_file(file, folder / file.name, job.base.stamps[file].size, without=spans, link=link)


def _place_index(base: Checkpoint, folder: Path) -> None:
    index = file_inside(base.folder, INDEX_FILE)
    if index.exists():
        (folder / INDEX_FILE).write_bytes(read_regular(index))
    elif not base.has_index:
        (folder / INDEX_FILE).write_bytes(base.index().encode())


class TensorWriters:
    """The weight files of a folder, opened for writing when they are first asked for; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handles: dict[str, int] = {}

    def __enter__(self) -> "TensorWriters":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def into(self, entry: TensorEntry) -> Write:
        """A function that writes bytes to where a tensor lies, in the folder's file of the same name."""
        name = entry.file.name
        if name not in self._handles:
            self._handles[name] = open_plain(self._folder / name, os.O_WRONLY)
        handle = self._handles[name]

        def write(data: memoryview, first: int) -> None:
            while data:
                done = write_at(handle, data, entry.start + first)
                data, first = data[done:], first + done

        return write

    def sync(self) -> None:
        """Have all that was written on the disk."""
        for handle in self._handles.values():
            sync(handle)
