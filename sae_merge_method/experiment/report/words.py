"""The sentences that Markdown and page share: what was compared, how, and what to know beside it."""

from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.experiment.report.measure import any_answered, is_share
from sae_merge_method.experiment.report.stored import swallowed_arms
from sae_merge_method.layers import named_units
from sae_merge_method.reports.numbers import amount, p_value, percent, signed


def title(experiment: Experiment) -> str:
    """Of the report."""
    return f"Experiment: {named_units(experiment.layers, experiment.n_layers)}"


def facts(experiment: Experiment) -> list[tuple[str, str]]:
    """What was compared, by name."""
    corpus = experiment.corpus
    asked = ", ".join(f"{name} {value}" for name, value in experiment.evaluation.items() if value is not None)
    listed = [
        ("base", experiment.base),
        ("donor", experiment.donor),
        (
            "selected",
            f"{named_units(experiment.layers)} by {experiment.select} of {experiment.score}, "
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
    return listed + ([("not done", ", ".join(experiment.missing))] if experiment.missing else [])


def notes(experiment: Experiment) -> list[str]:
    """What has to be known of the pick's numbers, and which arms were evaluated otherwise than the base."""
    known = _all_at_zero(experiment)
    known += swallowed_arms(experiment)
    known += experiment.pick.notes if experiment.pick is not None else ()
    known += [f"{arm.name} is in no conclusion: {_differs(arm)}" for arm in experiment.arms if arm.mismatches]
    return known


_MANY = 0.5
"""Share of answers from which on their being cut off, or lacking, is why every score is 0."""


def _all_at_zero(experiment: Experiment) -> list[str]:
    """Where no arm got anything right: a generation that ends before its answer tells nothing of a model."""
    arms = experiment.arms
    if any(arm.overall.score != 0 for arm in arms) or not experiment.higher_is_better:
        return []
    words = "Every arm scores 0, so nothing can be told of them"
    cut = [arm.cut_off for arm in arms if arm.cut_off is not None]
    answered = [arm.answered for arm in arms if arm.answered is not None]
    if cut and min(cut) >= _MANY:
        words += (
            f": {percent(min(cut))} of the answers or more are as long as the token limit, so generations "
            "were cut off before a final answer (raise max_gen_toks in evaluation.gen_kwargs)"
        )
    elif answered and max(answered) <= 1 - _MANY:
        words += (
            f": a final answer was found to {percent(max(answered))} of the problems or fewer (the task's "
            "format, its chat template, or the model)"
        )
    return [f"{words}."]


def _differs(arm: MeasuredArm) -> str:
    return f"its evaluation differs from the base's in more than the model ({'; '.join(arm.mismatches)})"


def how_to_read_arms(experiment: Experiment) -> str:
    """The columns of the arms' table."""
    unit = "nats a token"
    general = (
        f"general loss: {unit} on the general text; damage: the same less the base's, its t over documents "
        "paired with themselves; "
        if experiment.corpus is not None
        else ""
    )
    answered = "answered: share of problems with a final answer; " if any_answered(experiment) else ""
    return (
        f"{experiment.metric.partition(',')[0]}: over all tasks; delta and p against the base, "
        f"by the same problems; paper's z: unpaired, as the paper has it; {answered}{general}"
        "energy: squared norm of what was injected; share: of the donor's whole task vector in the decoder "
        "layers."
    )


HOW_TO_READ_SUBJECTS = (
    "Each subject's z against the base as the paper has it, unpaired, above 0 where the arm scored higher; "
    "strong where the same problems, paired, are significantly different after Holm over the arm's subjects. "
    "The base's row has its scores."
)


def standing(experiment: Experiment) -> list[str]:
    """Where the pick stands, in sentences."""
    sentences = []
    for rank, others in (
        (experiment.matched_sets, "{} random sets of layers matched with it in count, runs and about depth"),
        (experiment.among_all, "all {} sets of as many other layers, drawn or chosen"),
    ):
        if rank is not None:
            among = others.format(rank.others)
            sentences.append(f"Among {among}, the pick has rank {rank.rank} of {1 + rank.others}.")
    return sentences


def layer_words(experiment: Experiment) -> str:
    """What single layers say of the score."""
    curve = experiment.single_layers
    if curve is None or curve.rho is None or curve.p is None:
        return "Too few layers, or no variation, for a rank correlation."
    words = (
        f"Rank correlation of {experiment.score} with the gain over {curve.layers} layers: Spearman's rho "
        f"{signed(curve.rho)}, two-sided p {p_value(curve.p)} by circular shifts and mirror images of the "
        "profile"
    )
    if curve.partial_rho is not None:
        words += (
            f"; given depth, its square and the injected energy {signed(curve.partial_rho)}, p "
            f"{p_value(curve.partial_p)}"
        )
    return f"{words}; p is never below {p_value(curve.least_p)} with so many."


def curve_words(experiment: Experiment) -> str:
    """How the arms beside the damping curve are read."""
    curve = experiment.damping_curve
    if curve is None:
        return ""
    margin = amount(curve.margin, is_share(experiment)).lstrip("+")
    return (
        f"The curve is all layers at one weight: {', '.join(curve.arms)}, least damage first. An arm is "
        "held against the two of them between whose damage its own lies, problem by problem: a problem's "
        "outcome on the curve is the mean of its outcomes under both, weighed by how near their damage is. "
        "Between two arms the curve is taken to be straight; where it bends upwards, it lies higher than "
        "that. Interval and p count the problems and the passages that damage is measured on (delta "
        "method); p is corrected by Holm over these arms. Where the damage of the two is not told apart, or "
        "more weight does less of it, an arm that gains more than all of the curve is held against that of "
        f"its arms which comes nearest, whatever its damage. on: shown to be within {margin} of the curve; "
        "not shown: neither that nor off it. An arm that does less damage than the base, or more than the "
        "whole curve, is held against that end."
    )
