"""Arms edited into the base in memory: the same bytes as merged to the disk and loaded, whatever the edit."""

import json
import logging
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.experiment.worker import ArmJob, ArmRunner, GeneralCorpus, Setup, Underway
from tests import tiny
from tests.diagnose.hosts import save_tokenizer
from tests.geometry import scenes
from tests.in_memory.models import llama, near

TASKS = {
    "words": {
        "output_type": "generate_until",
        "generation_kwargs": {"max_gen_toks": 4, "until": ["<eos>"]},
        "doc_to_target": "",
        "metric_list": [{"metric": "exact_match"}],
    },
    "choices": {
        "output_type": "multiple_choice",
        "doc_to_choice": ["m1 c2", "p1"],
        "doc_to_target": 0,
        "metric_list": [{"metric": "acc"}],
        "num_fewshot": 2,
        "fewshot_split": "test",
    },
}
DOCUMENTS = ("m1 p2 c3", "c1 c2 m5 p1 p2", "p3 m2")
OF_A_RUN = ("date", "start_time", "end_time", "total_evaluation_time_seconds")
"""What lm-eval writes of the clock."""


class Family(NamedTuple):
    """A base with a tokenizer, a donor, and recipes by the arms' names."""

    base: Path
    donor: Path
    recipes: dict[str, str]
    model_args: dict[str, str]


def raw(base: Path, donor: Path, **keys: object) -> dict[str, object]:
    models = [{"model": str(donor), "parameters": {"weight": 0.7}}]
    parameters = {"layers": "1, 2", **keys}
    return {
        "merge_method": "sae_stethoscope",
        "base_model": str(base),
        "models": models,
        "parameters": parameters,
    }


def gemma(root: Path) -> Family:
    """Gemma 3 in float32, its embeddings the head's: the raw task vector, whole and in parts of layers, and a projection."""
    scene = scenes.build(root)
    save_tokenizer(scene.base)
    save_tokenizer(scene.donor)
    whole = raw(scene.base, scene.donor)
    projected = raw(scene.base, scene.donor, diagnosis=str(scene.diagnosis), rank=4)
    parts = raw(scene.base, scene.donor, layers="1.attn, 2.mlp")
    recipes = {"raw": whole, "parts": parts, "projected": {**projected, "merge_method": "sae_scalpel"}}
    return Family(scene.base, scene.donor, {name: yaml.safe_dump(one) for name, one in recipes.items()}, {})


def llama_in_float32(root: Path) -> Family:
    """A Llama stored in bfloat16 and computed in float32: rounded in two ways, and to float32, on the disk."""
    base = llama(root / "base", dtype="bfloat16")
    donor = near(base, root / "donor")
    recipes = {
        "nearest": raw(base, donor),
        "stochastic": raw(base, donor, rounding="stochastic", rounding_seed=3),
        "wide": raw(base, donor) | {"dtype": "float32"},
    }
    texts = {name: yaml.safe_dump(one) for name, one in recipes.items()}
    return Family(base, donor, texts, {"dtype": "float32"})


def gemma_of_two_dtypes(root: Path) -> Family:
    """Gemma 3 in bfloat16 with its norms in float32, which a loader rounds to bfloat16."""
    scene = scenes.build(root, dtype=torch.bfloat16, of_base=tiny.wide_norms)
    save_tokenizer(scene.base)
    save_tokenizer(scene.donor)
    recipes = {
        "raw": raw(scene.base, scene.donor),
        "parts": raw(scene.base, scene.donor, layers="1.attn, 2.mlp"),
    }
    return Family(scene.base, scene.donor, {name: yaml.safe_dump(one) for name, one in recipes.items()}, {})


def lay_out(root: Path) -> Path:
    """What the arms are asked: a folder of lm-eval tasks."""
    texts, tasks = root / "texts.jsonl", root / "tasks"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    tasks.mkdir()
    files = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(texts)}}}
    for name, task in TASKS.items():
        whole = {"task": name, "test_split": "test", "doc_to_text": "{{text}}", **files, **task}
        (tasks / f"{name}.yaml").write_text(yaml.safe_dump(whole))
    group = {"group": "both", "task": list(TASKS), "aggregate_metric_list": [{"metric": "acc"}]}
    (tasks / "both.yaml").write_text(yaml.safe_dump(group))
    return tasks


def run_arms(root: Path, family: Family, tasks: Path, *, keep: bool) -> dict[str, Path]:
    """All arms by one worker, the donor between them; their folders by name."""
    root.mkdir()
    evaluation = EvaluationSettings(
        tasks=("both",), include_path=str(tasks), device="cpu", batch_size=2,
        model_args=dict(family.model_args),
    )  # fmt: skip
    general = GeneralCorpus("general", "0" * 64, DOCUMENTS)
    underway: list[Underway] = []
    setup = Setup(Path("exp"), root, str(family.base), evaluation, general, keep)
    runner = ArmRunner(setup, underway.append)
    models = {"base": str(family.base), "donor": str(family.donor)}
    names = ["base", *family.recipes]
    folders = {}
    for name in [*names[:2], "donor", *names[2:]]:
        folders[name] = root / "exp" / "arms" / name
        folders[name].mkdir(parents=True)
        if name in family.recipes:
            (folders[name] / "recipe.yml").write_text(family.recipes[name])
        arm = ArmIdentity(
            name=name, role="own", description="", method=None, layers=(1, 2), weight=None, planned_energy=None,
            planned_realised=None, matched=None,
        )  # fmt: skip
        outcome = runner.run(ArmJob(arm, models.get(name), "key", {}))
        assert outcome.error is None, outcome
        told = [one for one in underway if one.arm == name]
        general = [Underway(name, answered, len(DOCUMENTS)) for answered in (2, 3)]
        assert told[:2] == general and len(told) > 2  # the general text comes first
        assert told[-1].answered == told[-1].requests
    return folders


def left(folder: Path) -> dict[str, object]:
    """All that an arm leaves, but for the clock."""
    files: dict[str, object] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = file.relative_to(folder).as_posix().replace(file.stem, file.stem.split("_20")[0])
        if name.endswith(".json") and "results_" in file.name:
            value = json.loads(file.read_text())
            files[name] = {key: one for key, one in value.items() if key not in OF_A_RUN}
        else:
            files[name] = file.read_bytes()
    return files


@pytest.fixture
def loads(monkeypatch):
    """Names of the models that were loaded, in their order."""
    from torch.utils import collect_env

    names: list[str] = []
    load = Harness.load
    monkeypatch.setattr(
        Harness, "load", lambda self, model: (names.append(Path(model).name), load(self, model))[1]
    )
    monkeypatch.setattr(collect_env, "get_pretty_env_info", lambda: "")  # pip's list takes seconds
    return names


@pytest.mark.parametrize(
    "make, merged", [(gemma, []), (gemma_of_two_dtypes, []), (llama_in_float32, ["wide"])]
)
def test_an_arm_is_the_same_in_memory_and_on_the_disk(tmp_path, monkeypatch, caplog, loads, make, merged):
    import datasets

    caplog.set_level(logging.INFO, "sae_merge_method")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / ".datasets"))
    family = make(tmp_path / "models")
    names, tasks = list(family.recipes), lay_out(tmp_path)
    here = run_arms(tmp_path / "here", family, tasks, keep=False)
    assert loads == ["base", "donor", "base", *merged]
    told = [record.getMessage() for record in caplog.records if "merged to the disk" in record.getMessage()]
    assert [text.split(":")[0] for text in told] == [f"{name} is merged to the disk" for name in merged]
    begun = [record for record in caplog.records if "passes begin at layer 1" in record.getMessage()]
    # Every edit but the one after the donor, when there is none yet to begin at, and those on the disk.
    assert len(begun) == len(names) - 1 - len(merged)
    assert not (tmp_path / "here" / "exp" / "merged").exists()
    there = run_arms(tmp_path / "there", family, tasks, keep=True)
    assert loads[3 + len(merged) :] == ["base", names[0], "donor", *names[1:]]
    for name in here:
        found, expected = left(here[name]), left(there[name])
        assert found.keys() == expected.keys()
        assert len(found) == (6 if name in names else 4)
        for file, content in expected.items():
            assert found[file] == content, (name, file)
    losses = {json.loads((folder / "arm.json").read_text())["general"]["nats"][0] for folder in here.values()}
    assert len(losses) == len(here)


def test_a_loss_that_cannot_be_had_is_told_before_a_problem_is_asked(tmp_path, monkeypatch):
    base = llama(tmp_path / "base")
    (tmp_path / "exp" / "arms" / "base").mkdir(parents=True)
    evaluation = EvaluationSettings(tasks=("both",), include_path=str(lay_out(tmp_path)), device="cpu")
    general = GeneralCorpus("general", "0" * 64, DOCUMENTS)
    runner = ArmRunner(Setup(Path("exp"), tmp_path, str(base), evaluation, general, keep=False))
    arm = ArmIdentity(
        name="base", role="own", description="", method=None, layers=(), weight=None, planned_energy=None,
        planned_realised=None, matched=None,
    )  # fmt: skip
    monkeypatch.setattr(
        "sae_merge_method.experiment.worker.log_likelihoods", lambda *_: ((float("nan"),), (1,))
    )
    monkeypatch.setattr(Harness, "score", lambda *_: pytest.fail("problems were asked"))
    outcome = runner.run(ArmJob(arm, str(base), "key", {}))
    assert outcome.error is not None and outcome.error.startswith("the loss on 1 of 1 documents of general")
    assert not (tmp_path / "exp" / "arms" / "base" / "results").exists()
