"""What type checkers are told of the door: read by ``make check``, and run by nobody.

A line that is wrong says so: a checker that let it pass would call the comment unused.
"""

from pathlib import Path

import sae_merge_method as sm


def right() -> None:
    """Each with the type that the function itself has."""
    scores: dict[int | sm.LayerModule, float] = sm.read_diagnosis(Path("diagnosis")).scores()
    settings = sm.DiagnoseSettings(model="b", sae=("s",), target="t", control=("c",), seed=1, select="elbow")
    corrected: float | None = sm.diagnose(settings, Path("diagnosis"), overwrite=True).layers[0].score
    again: sm.Diagnosis = sm.score("diagnosis", sm.ScoringSettings(score="js_bits"), out="rescored")
    chosen: tuple[int | sm.LayerModule, ...] = sm.select_layers(again, "top_k=3", units="corrected").layers
    sm.write_recipe(sm.RecipeSettings(diagnosis="d", base="b", donor="c", weight=0.5), "r.yml")
    written: float = sm.merge(Path("r.yml"), "out", sm.MergeSettings(hash_all=True)).energy
    proved: bool = sm.verify("out", base=Path("base")).sound
    moved: tuple[str, ...] = tuple(tensor.name for tensor in sm.diff("base", "out").changed)
    kept: float | None = sm.energy(sm.EnergySettings(base="b", donor="c", diagnosis="d", draws=2)).total.kept
    gained: float = sm.compare("one", Path("two"), settings=sm.CompareSettings(alpha=0.01)).subjects[0].delta
    both: sm.Comparison | sm.ComparisonSet = sm.compare("one", "two", "three")
    arms: int = len(sm.run_experiment("experiment.yml", "experiment", sm.RunSettings(workers=0)).arms)
    print(scores, corrected, chosen, written, proved, moved, kept, gained, both, arms)


def wrong(settings: sm.DiagnoseSettings) -> None:
    """Each wrong in one way."""
    sm.diagnoze()  # type: ignore[attr-defined]
    sm.read_diagnosis(4)  # type: ignore[arg-type]
    sm.read_diagnosis("diagnosis").skores()  # type: ignore[attr-defined]
    sm.diagnose(settings, "out", True)  # type: ignore[call-arg]
    sm.merge("r.yml", "out", overwrit=True)  # type: ignore[call-arg]
    sm.EnergySettings(base="b", donor="c")  # type: ignore[call-arg]
