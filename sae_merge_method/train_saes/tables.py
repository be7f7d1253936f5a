"""Trained SAEs as tables: what each keeps of text held out, and what they were trained on."""

from sae_merge_method.artifacts.sae_training import SaeTraining, TrainedSae, TrainingText
from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.notebook import View

_NONE = Cell(NOTHING)
HOW_READ = (
    "On held-out text. Explained: share of the activations' variance that the reconstruction keeps, over all "
    "tokens but outliers, and the median token's. L0: active features a token. Dead: features that no "
    "longer fired when training ended; revived: that were dead at some time and fired again. Loss: "
    "cross-entropy in nats a token with the reconstruction in the activations' place, and with zeros there; "
    "recovered: the share of what zeros cost that the reconstruction gives back. Outliers: tokens that do "
    f"not count, for their norm is more than {OUTLIER_NORM:g} times the median."
)


def saes_grid(training: SaeTraining) -> Grid:
    """One row an SAE."""
    header = ("layer", "reads", "features", "explained", "median token", "L0", "dead", "revived")
    loss = ("loss", "with zeros", "recovered", "outliers")
    rows = tuple(map(_row, training.saes))
    return Grid((*header, *loss), rows, words=frozenset(("reads",)))


def _row(sae: TrainedSae) -> tuple[Cell, ...]:
    judged = sae.judgement
    known = (
        Cell(str(sae.layer), sae.layer),
        Cell(sae.hook),
        Cell(numbers.count(sae.d_sae), sae.d_sae),
    )
    fate = (Cell(numbers.count(sae.dead), sae.dead), Cell(numbers.count(sae.revived), sae.revived))
    if judged is None:
        return (*known, _NONE, _NONE, _NONE, *fate, _NONE, _NONE, _NONE, _NONE)
    loss = judged.loss
    return (
        *known,
        Cell(numbers.decimal(judged.explained_variance, 3), judged.explained_variance),
        Cell(numbers.decimal(judged.explained_median, 3), judged.explained_median),
        Cell(numbers.decimal(judged.l0, 1), judged.l0),
        *fate,
        Cell(numbers.decimal(loss.spliced, 3), loss.spliced),
        Cell(numbers.decimal(loss.ablated, 3), loss.ablated),
        _NONE if loss.recovered is None else Cell(numbers.score(loss.recovered, share=True), loss.recovered),
        Cell(numbers.percent(judged.outliers), judged.outliers),
    )


def texts_grid(training: SaeTraining) -> Grid:
    """One row a corpus."""
    header = ("corpus", "weight", "tokens read", "times through", "held out", "sha256")
    rows = tuple(map(_text_row, training.texts))
    return Grid(header, rows, words=frozenset(("corpus", "sha256")))


def _text_row(text: TrainingText) -> tuple[Cell, ...]:
    times = text.tokens_read / text.tokens
    return (
        Cell(text.name),
        Cell(f"{text.weight:g}", text.weight),
        Cell(numbers.count(text.tokens_read), text.tokens_read),
        Cell(numbers.decimal(times, 2), times),
        Cell(numbers.count(text.held_out), text.held_out),
        Cell(text.sha256[:16]),
    )


def training_head(training: SaeTraining) -> tuple[str, ...]:
    """What was trained, and what the model's loss is without any SAE, a sentence each."""
    trained = f"{len(training.saes)} SAEs, {numbers.count(training.tokens)} tokens each"
    lines = [f"{training.model.id}: {trained}"]
    losses = [one.judgement.loss for one in training.saes if one.judgement]
    if losses:
        own, tokens = numbers.decimal(losses[0].base, 3), numbers.count(losses[0].tokens)
        lines.append(f"the model's own loss on {tokens} held-out tokens: {own} nats a token")
    return tuple(lines)


def training_view(training: SaeTraining) -> View:
    """Trained SAEs as a notebook shows them."""
    return View((saes_grid(training), texts_grid(training)), head=training_head(training))
