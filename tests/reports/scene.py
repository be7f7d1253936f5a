"""What the renderers show: a comparison, a diagnosis, an experiment and a merge, each made once."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet
from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.artifacts.layer_diagnosis import TopFeature
from sae_merge_method.artifacts.lm_eval_samples import Samples
from sae_merge_method.compare.evaluation import Evaluation, open_evaluations
from sae_merge_method.compare.flips import render_flips
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged
from tests.diagnoses import save_diagnosis
from tests.evaluations import DATE, answers, grouped
from tests.experiment.report.folders import BASE, NATS, PICK, Laid, collected, harmed
from tests.reports.records import renamed


class Scene:
    """What the renderers show, each made once."""

    def __init__(self, folder: Path, merged: Path) -> None:
        self.folder = folder
        self.merged_at = merged

    @cached_property
    def comparison(self) -> Comparison:
        """Of two runs that differ, with a group, with pairs, and with a task of one problem."""
        made = compare(*self.evaluations, settings=CompareSettings(allow_mismatch=True, draws=10, margin=1))
        assert isinstance(made, Comparison)
        assert made.groups and made.mismatches and made.marks and any(row.reason for row in made.subjects)
        return made.model_copy(update={"notes": ("A note.",)})

    @cached_property
    def comparisons(self) -> ComparisonSet:
        return ComparisonSet(comparisons=(self.comparison, self.comparison))

    @cached_property
    def diagnosis(self) -> Diagnosis:
        made = read_diagnosis(save_diagnosis(self.folder / "diagnosis", self.merged_at, {0: 1.0, 1: 0.5}))
        feature = TopFeature(
            feature=3, share=0.5, target=1.0, control=0.1, target_rate=0.5, control_rate=0.1,
            snippets=("one «two» three", "four"),
        )  # fmt: skip
        layers = tuple(
            layer.model_copy(
                update={
                    "top_features": (feature,),
                    "sae": layer.sae.model_copy(update={"neuronpedia": "gemma/0"}),
                }
            )
            for layer in made.layers
        )
        return made.model_copy(update={"layers": layers, "settings": {"text": "maths.jsonl", "seed": 0}})

    @cached_property
    def experiment(self) -> Experiment:
        arms = [replace(BASE, nats=NATS), harmed(PICK, 1.0), harmed(Laid("layer-2", (30, 12), (2,)), 0.5)]
        return collected(self.folder / "experiment", [*arms, Laid("scalpel", (1, 1), done=False)])

    @cached_property
    def merged(self) -> MergedFolder:
        return open_merged(self.merged_at)

    @cached_property
    def evaluations(self) -> tuple[Evaluation, Evaluation]:
        for side, scores, batch_size in (("base", (0, 1, 0, 0), 1), ("edited", (1, 1, 1, 0), 2)):
            place = self.folder / side
            place.mkdir()
            arguments = {"load_in_4bit": side == "base"}
            config = {"model": "hf", "model_args": arguments, "batch_size": batch_size}
            counts = {"maths": (sum(scores), len(scores)), "alone": (1, 1)}
            (place / f"results_{DATE}.json").write_text(
                json.dumps(grouped(counts, config=config, model_name=side))
            )
            rows = "".join(json.dumps(row) + "\n" for row in answers(scores))
            (place / f"samples_maths_{DATE}.jsonl").write_text(rows)
        base, edited = open_evaluations([self.folder / "base", self.folder / "edited"])
        return base, edited

    def flips(self, name: str) -> str:
        """Of samples whose every text is ``name``."""
        sides = []
        for side in self.evaluations:
            read = side.samples("maths", "exact_match,none")
            listed = tuple(
                {"doc": {"problem": name}, "doc_id": name, "target": name, "resps": [[name]]}
                for _ in read.rows
            )
            rows = tuple(row._replace(offset=nth) for nth, row in enumerate(read.rows))
            samples = Samples(read.path, rows, listed=listed)
            sides.append(Evaluation(side.run, name, {(name, "exact_match,none"): samples}))
        subjects = (renamed(self.comparison.subjects[0], name),)
        compared = self.comparison.model_copy(update={"subjects": subjects})
        return render_flips(compared, sides[0], sides[1], 2, 80)
