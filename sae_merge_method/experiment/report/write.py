"""The three files of an experiment's report, written from its folder alone."""

from pathlib import Path

from sae_merge_method.artifacts.experiment import PAGE_FILE, TABLE_FILE, Experiment, write_experiment
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.experiment.report.collect import collect
from sae_merge_method.experiment.report.html import as_page
from sae_merge_method.experiment.report.markdown import as_markdown
from sae_merge_method.experiment.report.scatter import draw_scatter
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_text


def report_experiment(folder: Path) -> Experiment:
    """Write the report of an experiment's folder anew, from the arms that are done.

    Raises:
        InUseError: Another process is at work in the folder.
        SaeMergeError: See :func:`write_report`.
    """
    read_plan(folder)  # of any other folder it is said what is amiss, and nothing is written into it
    with locked(folder):
        return write_report(folder)


def write_report(folder: Path) -> Experiment:
    """Write ``experiment.html``, ``experiment.md`` and ``experiment.json``: same arms, same bytes.

    All are made before the first is written, and each is written whole or not at all. For who holds
    the folder.

    Raises:
        ArtifactError: There is no plan, the base is not done, or an arm is damaged.
        ComparisonError: An arm was evaluated on nothing that the base was.
    """
    experiment = collect(folder)
    page = as_page(experiment, draw_scatter(experiment))
    text = as_markdown(experiment)
    write_text(folder / PAGE_FILE, page)
    write_text(folder / TABLE_FILE, text)
    write_experiment(folder, experiment)
    return experiment
