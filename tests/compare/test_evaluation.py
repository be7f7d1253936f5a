"""What a model is called, and that its samples are read once."""

from collections.abc import Callable
from pathlib import Path

from sae_merge_method.compare.evaluation import Evaluation, open_evaluations
from tests.evaluations import BASE, NUM_THEORY, Write, results


def test_a_model_is_called_by_its_last_name(write: Write) -> None:
    paths = [write(name, results(BASE, model_name=f"org/{name}/")) for name in ("base", "edited")]
    assert [evaluation.label for evaluation in open_evaluations(paths)] == ["base", "edited"]


def test_models_of_one_name_are_called_by_their_paths(write: Write) -> None:
    paths = [str(write(name, results(BASE))) for name in ("base", "one", "two")]
    assert [evaluation.label for evaluation in open_evaluations(paths)] == paths


def test_an_opened_evaluation_keeps_its_label_and_its_samples(
    write: Write, write_scores: Callable[..., Path]
) -> None:
    (evaluation,) = open_evaluations([write_scores("edited", [1, 0])])
    named = Evaluation(evaluation.run, "stethoscope")
    assert open_evaluations([write("base", results(BASE)), named])[1] is named
    samples = named.samples(NUM_THEORY, "exact_match,none")
    assert named.samples(NUM_THEORY, "exact_match,none") is samples
    assert [row.score for row in samples.rows] == [1.0, 0.0]
