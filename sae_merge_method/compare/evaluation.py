"""One side of a comparison: an evaluation by lm-eval, its short name, and its samples once they were read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sae_merge_method.artifacts.comparison import Side
from sae_merge_method.artifacts.inspect_results import find_logs, read_logs
from sae_merge_method.artifacts.lm_eval_results import EvalRun, read_results
from sae_merge_method.artifacts.lm_eval_samples import Samples, read_samples
from sae_merge_method.artifacts.measured_on import measured_on


@dataclass(frozen=True)
class Evaluation:
    """A run of lm-eval on one model."""

    run: EvalRun
    label: str
    """Short name of the model, as tables show it."""
    _samples: dict[tuple[str, str], Samples] = field(default_factory=dict, repr=False)

    def samples(self, task: str, metric: str) -> Samples:
        """The answers to a task, read once however many models are compared with this one.

        Raises:
            ArtifactError: The samples file is damaged.
        """
        key = (task, metric)
        if key not in self._samples:
            self._samples[key] = read_samples(self.run, task, metric)
        return self._samples[key]

    def side(self) -> Side:
        """The evaluation, as a comparison records it."""
        run = self.run
        return Side(
            label=self.label,
            model=run.model,
            results=run.path.name,
            lm_eval_version=run.lm_eval_version,
            result_sha256=measured_on(run),
        )


Source = str | Path | Evaluation
"""lm-eval's output folder, one model's folder in it, or a results file; or any of them, opened before."""


def open_evaluations(sources: Sequence[Source]) -> list[Evaluation]:
    """Read all results; each model is called by its short name, or by its path where two have the same.

    Raises:
        ArtifactError: A source holds no results, or results of several models.
    """
    opened = [_opened(source) for source in sources]
    labels = [evaluation.label for evaluation in opened]
    if len(set(labels)) == len(labels):
        return opened
    return [
        evaluation if isinstance(source, Evaluation) else replace(evaluation, label=str(source))
        for evaluation, source in zip(opened, sources, strict=True)
    ]


def _opened(source: Source) -> Evaluation:
    if isinstance(source, Evaluation):
        return source
    logs = find_logs(Path(source))
    run = read_logs(logs) if logs else read_results(Path(source))
    return Evaluation(run, run.short_name)
