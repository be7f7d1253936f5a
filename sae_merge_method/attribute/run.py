"""``sae-merge attribute`` from end to end: base, donor and texts in, an attribution in a folder out."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from sae_merge_method import __version__
from sae_merge_method.artifacts.attribution import (
    AttributedModel,
    Attribution,
    read_attribution,
    write_attribution,
)
from sae_merge_method.artifacts.attribution_groups import TextGroups
from sae_merge_method.attribute.amounts import attributed_text
from sae_merge_method.attribute.costs import Cost, cost_of, fits, memory_of
from sae_merge_method.attribute.feature_chunks import FeatureChunks
from sae_merge_method.attribute.feature_sums import NO_FEATURES, sum_features
from sae_merge_method.attribute.measure import Measurements, Point
from sae_merge_method.attribute.page import write_page
from sae_merge_method.attribute.path import path_gains
from sae_merge_method.attribute.scores import donor_scores
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.attribute.texts import Text, make_text
from sae_merge_method.corpora.documents import check_disjoint, read_corpus
from sae_merge_method.errors import UsageError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.progress import Progress
from sae_merge_method.files.stamps import COMPUTING, ENCODING
from sae_merge_method.foretold import held_against
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.identity.made_from import of_model, of_packages, of_texts, of_weights
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.layers import parse_layers
from sae_merge_method.models.hub import open_model
from sae_merge_method.reports.numbers import duration
from sae_merge_method.saes.find import SaeAddress, find_saes
from sae_merge_method.saes.opening import open_sae
from sae_merge_method.together.workers import Workers, join_workers

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


class Attributed(NamedTuple):
    """What is written."""

    attribution: Attribution
    groups: tuple[TextGroups, ...]


def attribute(
    settings: AttributeSettings,
    out: str | Path,
    *,
    overwrite: bool = False,
    report: Report = logger.info,
) -> Attribution:
    """Attribute a donor's gain on the target, and its damage on the controls, to its task vector's tensors.

    Killed at any moment and called again with the same settings, it goes on where it was. Where torchrun,
    accelerate or ``--workers`` started several processes, they share the points on the path and the first
    writes; a call starts none.

    Args:
        settings: Models and texts, and how.
        out: Folder to write.
        overwrite: Replace an attribution that stands there.
        report: Told of the cost before work starts.

    Returns:
        The attribution that was written.

    Raises:
        InUseError: Another process writes there.
        SaeMergeError: Anything about the inputs that makes an attribution impossible.
    """
    out = Path(out)
    with join_workers() as workers:
        with new_folder(out, overwrite=overwrite) if workers.is_first else nullcontext() as folder:
            attributed, progress = attributed_beside(settings, out, workers, report)
            if folder is not None:
                write_attribution(folder, *attributed)
                write_page(folder, attributed.attribution)
        if workers.is_first:
            progress.discard()
        workers.wait()
    return read_attribution(out)


def attributed_beside(
    settings: AttributeSettings, out: Path, workers: Workers, report: Report
) -> tuple[Attributed, Progress]:
    """Measure, and keep what is measured in a hidden sibling of ``out`` until the caller has written all.

    When this returns, no process reads what is kept any more.

    Raises:
        SaeMergeError: Anything about the inputs that makes an attribution impossible.
    """
    corpora = tuple(
        read_corpus(source, settings.text_field, settings.max_documents, settings.group_field)
        for source in (settings.target, *settings.control)
    )
    check_disjoint(corpora)
    device = workers.device(settings.device, settings.device_map)
    addresses = _saes(settings)
    with open_edited(
        settings.base,
        [settings.donor],
        beside=out,
        dtype=settings.dtype,
        device=device,
        allow_mismatch=settings.allow_mismatch,
    ) as edited:
        texts = [make_text(corpus, edited.model, settings) for corpus in corpora]
        memory = memory_of(settings, workers.size)
        edited.hold = fits(edited, memory)
        progress = Progress(out, _inputs(settings, edited, texts), "attribution")
        measurements = Measurements(edited, texts, progress, workers, recompute=settings.checkpointing)
        chunks = FeatureChunks(
            edited, texts, addresses, progress, workers,
            recompute=settings.checkpointing, spare=memory // 4,
        )  # fmt: skip
        tell = report if workers.is_first else logger.debug
        cost = cost_of(settings, edited, texts, len(addresses))
        tell(cost.words)
        with held_against(edited.model.device, tell) as foretold:
            foretold.seconds = _foretell(cost, measurements, len(texts))
            if foretold.seconds is not None:
                tell(f"At this model's pace, some {duration(foretold.seconds)}.")
            attributed = _attributed(settings, edited, texts, measurements, chunks)
    for text in attributed.attribution.texts:
        if workers.is_first and text.missed is not None and text.missed > settings.tolerance:
            logger.warning(
                "%s: %d points on the path miss %.1f %% of the change of the loss, more than %.1f %%: "
                "--most-points allows more of them",
                text.name, len(text.points), 100 * text.missed, 100 * settings.tolerance,
            )  # fmt: skip
    workers.wait()  # who is done forgets what is kept, which another may still read
    return attributed, progress


def _foretell(cost: Cost, measurements: Measurements, n_texts: int) -> float | None:
    """Seconds of all of it, by what is measured first: the slopes at the base; None where they stood.

    All processes make them here, whatever a late one finds of the others: they wait for one another.
    """
    first = [Point(nth, "slope", 0.0) for nth in range(n_texts)]
    stood, begun = any(map(measurements.has, first)), perf_counter()
    measurements.make(first)
    return None if stood else cost.seconds(perf_counter() - begun)


def _attributed(
    settings: AttributeSettings,
    edited: EditedModel,
    texts: Sequence[Text],
    measurements: Measurements,
    chunks: FeatureChunks,
) -> Attributed:
    numbers, layers = range(len(texts)), range(len(edited.model.blocks))
    at_base = measurements.make([Point(nth, "slope", 0.0) for nth in numbers])
    paths = (
        {}
        if settings.first_order
        else path_gains(measurements, numbers, settings.tolerance, settings.most_points)
    )
    wanted = [Point(nth, "loss", 1.0, layer) for layer in layers for nth in numbers] if settings.probe else []
    alone = measurements.make(wanted)
    shifted = Point(0, "moved", 1.0)
    moved = measurements.make([shifted])[shifted]
    sources, through = {}, [NO_FEATURES] * len(texts)
    if chunks.layers:
        chunks.encode()
        sources = chunks.sources()
        through = sum_features(chunks, sources, texts, edited.model, settings.snippets)
    groups, described = [], []
    for nth, text in enumerate(texts):
        base, path = at_base[Point(nth, "slope", 0.0)], paths.get(nth)
        none = np.zeros((len(text.groups), 0))
        probes = [base.losses - alone[point].losses for point in wanted if point.text == nth]
        sums = TextGroups(
            tokens=text.tokens,
            base=base.losses,
            first_order=-base.slopes,
            squares=base.squares,
            path=none if path is None else path.tensors,
            probes=np.stack(probes, axis=1) if probes else none,
            **{name: none if nth else getattr(moved, name) for name in ("read", "shift", "lengths")},
            **through[nth].sums._asdict(),
            sae_layers=np.array(chunks.layers, dtype=np.int64),
        )
        groups.append(sums)
        described.append(attributed_text(text, sums, path, edited, through[nth].layers))
    of_base, of_donor = map(fingerprint, edited.checkpoints)
    return Attributed(
        Attribution(
            base=AttributedModel(id=settings.base, fingerprint=of_base),
            donor=AttributedModel(id=settings.donor, fingerprint=of_donor),
            target=described[0],
            controls=tuple(described[1:]),
            scores=donor_scores(groups, [tensor.layer for tensor in edited.tensors]),
            saes=sources,
            left_out=edited.left_out,
            settings=settings.recorded(str(edited.model.dtype).removeprefix("torch.")),
        ),
        tuple(groups),
    )


def _saes(settings: AttributeSettings) -> tuple[SaeAddress, ...]:
    """The SAEs that are asked; what keeps one from being used is told before anything is loaded.

    Raises:
        UsageError: An id without a place.
        SaeError: One cannot be found or used.
    """
    if settings.sae is None:
        if settings.sae_id is not None:
            raise UsageError(f"--sae-id {settings.sae_id}: expected --sae as well, the place of the SAEs")
        return ()
    base = open_model(settings.base)
    addresses = find_saes(settings.sae, settings.sae_id, parse_layers(settings.layers, base.n_layers))
    for address in addresses:
        open_sae(address, base.d_model)
    return addresses


def _inputs(
    settings: AttributeSettings, edited: EditedModel, texts: Sequence[Text]
) -> dict[str, str | int | float | None]:
    """What a resumed run must have in common with the one that was interrupted."""
    model = edited.model
    return {
        **settings.of_measurements(str(model.dtype).removeprefix("torch."), model.device.type),
        "version": __version__,
        **of_packages(ENCODING if settings.sae else COMPUTING),
        **of_model("base", model),
        **of_weights("donor", fingerprint(edited.checkpoints[1])),
        **of_texts((text.name, text.sha256) for text in texts),
    }
