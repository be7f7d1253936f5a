"""The sentences that Markdown and page share: what was compared, how, and what to know beside it."""

from sae_merge_method.artifacts.experiment import Arm, Experiment
from sae_merge_method.layers import format_layers


def title(experiment: Experiment) -> str:
    """Of the report."""
    return f"Experiment: layers {format_layers(experiment.layers)} of {experiment.n_layers}"


def facts(experiment: Experiment) -> list[tuple[str, str]]:
    """What was compared, by name."""
    corpus = experiment.corpus
    asked = ", ".join(f"{name} {value}" for name, value in experiment.evaluation.items() if value is not None)
    found = [
        ("base", experiment.base),
        ("donor", experiment.donor),
        (
            "selected",
            f"layers {format_layers(experiment.layers)} by {experiment.select} of {experiment.score}, "
            f"weight {experiment.weight:g}",
        ),
        ("metric", experiment.metric),
        ("evaluation", f"lm-eval {experiment.lm_eval_version or 'of unknown version'}: {asked}"),
        (
            "general text",
            "none was given"
            if corpus is None
            else f"{corpus.name}: {corpus.documents:,} documents, {corpus.tokens:,} tokens, "
            f"sha256 {corpus.sha256[:16]}",
        ),
    ]
    return found + ([("not done", ", ".join(experiment.missing))] if experiment.missing else [])


def notes(experiment: Experiment) -> list[str]:
    """What has to be known of the pick's numbers, and which arms were evaluated otherwise than the base."""
    found = [note for arm in experiment.arms if arm.role == "pick" for note in arm.notes]
    found += [f"{arm.name} is in no conclusion: {_differs(arm)}" for arm in experiment.arms if arm.mismatches]
    return found


def _differs(arm: Arm) -> str:
    return f"its evaluation differs from the base's in more than the model ({'; '.join(arm.mismatches)})"


def how_to_read_arms(experiment: Experiment) -> str:
    """The columns of the arms' table."""
    unit = "nats a token"
    general = (
        f"general loss: {unit} on the general text; damage: the same less the base's, its z over documents "
        "paired with themselves; "
        if experiment.corpus is not None
        else ""
    )
    return (
        f"{experiment.metric.partition(',')[0]}: over all tasks; delta, z and p against the base; {general}"
        "energy: squared norm of what was injected; share: of the donor's whole task vector in the decoder "
        "layers."
    )


HOW_TO_READ_SUBJECTS = (
    "Each subject's z against the base, above 0 where the arm scored higher; strong where it is significant "
    "after Holm over the arm's subjects. The base's row has its scores."
)


def standing(experiment: Experiment) -> list[str]:
    """Where the pick stands, in sentences."""
    found = []
    for rank, others in (
        (experiment.among_random, "{} sets of layers drawn at random"),
        (experiment.among_all, "all {} sets of as many other layers, drawn or chosen"),
    ):
        if rank is not None:
            among = others.format(rank.others)
            found.append(f"Among {among}, the pick has rank {rank.rank} of {1 + rank.others}.")
    return found


def layer_words(experiment: Experiment) -> str:
    """What single layers say of the score."""
    found = experiment.single_layers
    if found is None or found.rho is None or found.p is None:
        return "Too few layers, or no variation, for a rank correlation."
    return (
        f"Rank correlation of {experiment.score} with the gain: Spearman's rho {found.rho:+.2f}, two-sided "
        f"p {found.p:.4f} by permutation, over {found.layers} layers."
    )
