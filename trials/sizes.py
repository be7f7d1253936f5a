"""How large a trial is: every number that trades time for sharpness, in one place.

The small ones take two CPU cores 45 minutes for a model of 135 million parameters, the environment
included, where `sae-merge doctor` says 313 billion operations a second in float32. Tuned edits and
experiments take most, then attributions.
"""

from sae_merge_method.artifacts.schema import Record


class Sizes(Record):
    """The numbers of a trial, kept with its report."""

    sae_width: int = 1024
    """Features of an SAE."""
    sae_tokens: int = 24_576
    """Tokens that SAEs are trained on: three minutes with that width."""
    sae_step_tokens: int = 192
    """Tokens of a training step: few, for so few tokens are 128 steps."""
    sae_held_out: int = 2048
    """Tokens that they are judged by."""
    sae_loss_tokens: int = 128
    """Of them, tokens that the loss with a reconstruction is told on."""
    diagnosis_tokens: int = 3072
    """Counted tokens of each side of a diagnosis, of which there are five: the target, two controls, two
    surface twins."""
    permutations: int = 100
    """Shuffles of labels."""
    attributed_problems: int = 12
    """Problems, and passages of each control, that a donor is attributed on; every layer alone, too."""
    attributed_length: int = 72
    """Longest of them in tokens."""
    attribution_points: int = 8
    """Points on the way from base to donor."""
    attribution_groups: int = 5
    """Groups that intervals of an attribution are told from."""
    problems: int = 56
    """Problems of exact answers, an arm."""
    answers: int = 36
    """Problems of answer loss, an arm."""
    passages: int = 40
    """Passages of prose, an arm."""
    near_passages: int = 10
    """Passages of the text near the ability, an arm."""
    passage_characters: int = 260
    """Characters that are read of a passage of prose."""
    passage_tokens: int = 48
    """Tokens that are left of them. Where all passages have as many, none of a batch is filled up."""
    near_characters: int = 110
    """Characters that are read of a passage of the text near the ability."""
    pick: int = 6
    """Layers that a score picks."""
    together: int = 28
    """Requests that pass through a model together where arms are judged, filled up to the longest of them:
    twice as many take twice the memory, by the vocabulary, and an eighth longer."""
    damping: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.75)
    """Weights of the damping curve, beside 0 and 1."""
    without_last: float = 0.5
    """Weight of all layers but the last."""
    random_sets: int = 2
    """Matched random sets of layers, and as many that lie apart."""
    rank: int = 14
    """Features a layer of the scalpel."""
    tune_budget: float = 0.02
    """Damage that tune may do, in nats a token."""
    tune_texts: int = 144
    """Problems, and passages, of tune: half to search, a quarter to choose, a quarter to report, of which
    fewer than 28 are not tested."""
    tune_length: int = 72
    """Longest of them in tokens."""
    tune_finalists: int = 2
    """Edits that it holds against each other on the choice part."""
    tune_steps: int = 12
    """Steps of gradient of its learned weights."""
    tune_step_tokens: int = 400
    """Tokens of problems, and as many of control text, a step."""
    tune_families: tuple[str, ...] = ("damped", "learned")
    """Kinds of edits that it searches."""
    whole_donors: int = 1
    """Donors that have every arm, the first ones; the others have the damping curve, the stethoscope, the
    scalpel, windows, strides, random sets and a few picks."""
    brief_from_seed: int = 1
    """Donors of this seed and later ones are attributed to first order alone, and no SAE is asked."""


SIZES = {
    "small": Sizes(),
    "sharp": Sizes(
        sae_width=2048,
        sae_tokens=98_304,
        sae_step_tokens=512,
        sae_held_out=8192,
        sae_loss_tokens=512,
        diagnosis_tokens=6144,
        permutations=300,
        attributed_problems=60,
        attribution_points=16,
        attribution_groups=10,
        problems=100,
        answers=100,
        passages=120,
        passage_characters=400,
        passage_tokens=80,
        near_passages=40,
        tune_texts=200,
        tune_finalists=3,
        tune_steps=30,
        tune_step_tokens=1024,
        whole_donors=3,
        brief_from_seed=2,
    ),
}
"""By name: what two CPU cores can do, the default; and about four times as many problems and passages."""
