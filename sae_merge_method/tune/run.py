"""``sae-merge tune`` from end to end; killed at any moment and called again, it goes on."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from os import PathLike
from pathlib import Path
from time import perf_counter

from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.artifacts.tune import PAGE_FILE, RECIPE_FILE, TABLE_FILE, Tune, write_tune
from sae_merge_method.corpora.documents import Corpus, check_disjoint, read_corpus
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.progress import Progress
from sae_merge_method.files.writing import write_text
from sae_merge_method.foretold import held_against
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import nearest, stochastic
from sae_merge_method.models.hub import open_model
from sae_merge_method.recipe.diagnosed import open_diagnosis
from sae_merge_method.recipe.precision import rounding_of
from sae_merge_method.selection import choose_layers, parse_rule
from sae_merge_method.together.workers import Workers, join_workers
from sae_merge_method.tune.attribution import Attribution
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.choose import choose
from sae_merge_method.tune.exam import Exam, Panel
from sae_merge_method.tune.inputs import inputs_of
from sae_merge_method.tune.judge import judge
from sae_merge_method.tune.named_attribution import open_named, told_by
from sae_merge_method.tune.page import as_markdown, as_page
from sae_merge_method.tune.planned import cost_of
from sae_merge_method.tune.recipe import check_base, recipe_of
from sae_merge_method.tune.result import ALPHA, Texts, result_of
from sae_merge_method.tune.rivals import Pick, contenders
from sae_merge_method.tune.search import allowed_damage, finalists, search
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.splits import CHOICE, SEARCH, make_splits
from sae_merge_method.tune.store import Store

LOG = logging.getLogger(__name__)

FileName = str | PathLike[str]


def tune(
    settings: TuneSettings | FileName,
    out: FileName,
    *,
    overwrite: bool = False,
    report: Callable[[str], None] | None = None,
) -> Tune:
    """Search for the edit that gains most within a damage budget, and judge it on texts that were held back.

    Writes ``recipe.yml``, ``tune.json``, ``tune.md`` and ``tune.html``. Where torchrun, accelerate
    or ``--workers`` started several processes, they share the measurements and the first writes; a call
    starts none.

    Args:
        settings: What is searched and on what, or its YAML file.
        out: Folder of the result; it appears whole or not at all. An interrupted search goes on.
        overwrite: Replace a folder that stands there.
        report: Takes lines on what it will cost and how far it is; logged unless given.

    Raises:
        UsageError: ``out`` exists, or an interrupted search of other settings stands beside it; or lm-eval
            does not know a task, or has no such metric of it.
        CorpusError: A text cannot be read, or a part of texts or of a task's problems is empty.
        TuneError: No edit meets the budget, or none is shown to help.
        SaeMergeError: Models do not fit together, or no recipe can be written of the base.
    """
    asked = (
        settings if isinstance(settings, TuneSettings) else read_settings(TuneSettings, {}, Path(settings))
    )
    folder, tell = Path(out), report or LOG.info
    with join_workers() as workers:
        with new_folder(folder, overwrite=overwrite) if workers.is_first else nullcontext() as new:
            result, recipe, progress = _tuned(asked, folder, workers, tell if workers.is_first else LOG.debug)
            if new is not None:
                write_text(new / RECIPE_FILE, recipe)
                write_tune(new, result)
                write_text(new / TABLE_FILE, as_markdown(result))
                write_text(new / PAGE_FILE, as_page(result))
        if workers.is_first:
            progress.discard()
        workers.wait()
    return result


def _tuned(
    asked: TuneSettings, folder: Path, workers: Workers, tell: Callable[[str], None]
) -> tuple[Tune, str, Progress]:
    """The result, its recipe, and what is done so far, kept beside the folder until all is written."""
    read = partial(
        read_corpus,
        text_field=asked.text_field,
        max_documents=asked.max_documents,
        group_field=asked.group_field,
    )
    target = None if asked.target is None else read(asked.target)
    controls = [read(control) for control in asked.control]
    check_base(asked.base)
    pick, opened = _pick(asked), open_named(asked)
    harnesses = [
        None if one is None else Harness(one, asked.base) for one in (asked.evaluation, asked.guard())
    ]
    with open_edited(
        asked.base,
        asked.donor,
        beside=folder,
        dtype=asked.dtype,
        device=workers.device(asked.device),
        outside=False,
        hold=asked.hold,
        allow_mismatch=asked.allow_mismatch,
    ) as edited:
        attributed = None if opened is None else told_by(opened, asked.donor[0], edited)
        task, guard = _exams(asked, edited, target, *harnesses)
        if target is None:
            assert task is not None
            target = task.corpus()
        check_disjoint([target, *controls])
        progress = Progress(folder, inputs_of(asked, folder, [target, *controls], edited), "search")
        texts = Texts(target, tuple(controls))
        result, recipe = _search_and_judge(
            asked, edited, texts, task, guard, progress, pick, attributed, workers, tell
        )
    return result, recipe, progress


def _exams(
    asked: TuneSettings,
    edited: EditedModel,
    target: Corpus | None,
    tasks: Harness | None,
    guards: Harness | None,
) -> tuple[Exam | None, Exam | None]:
    """The task that judges and the guard, where they are asked for."""
    task = guard = None
    if tasks is not None:
        task = Exam(tasks, asked.metric, edited.model, searched=target is None)
        if target is not None:
            task.check_unseen(target)
    if guards is not None:
        guard = Exam(guards, asked.budget.metric, edited.model)
    return task, guard


def _search_and_judge(
    asked: TuneSettings,
    edited: EditedModel,
    texts: Texts,
    task: Exam | None,
    guard: Exam | None,
    progress: Progress,
    pick: Pick | None,
    attributed: Attribution | None,
    workers: Workers,
    tell: Callable[[str], None],
) -> tuple[Tune, str]:
    splits = make_splits(
        edited.model,
        texts.target,
        texts.controls,
        asked.max_length,
        asked.tokens_per_batch,
        in_chat=asked.apply_chat_template,
    )
    progress.begin()
    store = Store(progress.folder, workers.rank)
    if len(store):
        tell(f"going on with {len(store)} measurements of an interrupted search")
    with (
        logging_redirect_tqdm(),
        held_against(edited.model.device, tell) as foretold,
        tqdm(desc="edits", unit="edit", initial=len(store), disable=not workers.is_first or None) as bar,
    ):
        rounding = rounding_of(asked)
        rounded = stochastic(rounding.seed) if rounding.unbiased else nearest
        bench = Bench(edited, splits, store, asked.tokens_per_step, bar.update, rounded, workers)
        panel = Panel(bench, task, guard, asked.budget.points)
        begun, known = perf_counter(), len(store)
        bench.measure(bench.base, SEARCH)
        seconds = perf_counter() - begun if len(store) > known else None
        words, foretold.seconds = cost_of(asked, splits, panel, seconds)
        tell(words)
        for exam in filter(None, (task, guard)):
            # What the choice asks anyway: a metric that cannot judge is told before the search, not after.
            exam.mean(bench, bench.base, CHOICE)
        allowed = allowed_damage(panel, asked.budget.nats, tell)
        searched = search(bench, asked, allowed.nats, tell, attributed)
        best = finalists(searched.candidates, allowed.nats, asked.finalists)
        chosen = choose(panel, best, allowed.nats, ALPHA)
        field = contenders(bench, searched, chosen.measured, allowed.nats, asked.donor, pick, asked.shuffles)
        judged = judge(panel, chosen, field, allowed.nats, ALPHA)
    recipe = recipe_of(judged.winner, asked.base, asked.donor, allowed.nats, rounding, asked.allow_mismatch)
    edited.restore()
    return result_of(asked, edited, panel, texts, allowed, searched, best, judged, recipe), recipe


def _pick(asked: TuneSettings) -> Pick | None:
    """What the diagnosis selects, held against the base before anything is measured."""
    if asked.diagnosis is None:
        return None
    base = open_model(asked.base)
    _, diagnosis = open_diagnosis(Path(asked.diagnosis), base, asked.base, asked.donor)
    layers = choose_layers(parse_rule(asked.select), diagnosis.layer_scores(), diagnosis.q_values())
    return Pick(layers, f"{asked.select} of {diagnosis.score}") if layers else None
