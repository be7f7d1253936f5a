"""Each worker has its own GPUs; the user's own tasks and metric serve as well as ours."""

from sae_merge_method.artifacts.experiment import read_experiment
from tests.experiment_runs.ground import SETTINGS, sae_merge, write_settings

TASK = """\
task: which_gpu
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
generation_kwargs: {{max_gen_toks: 2, until: ["."]}}
process_results: !function which_gpu.process_results
metric_list: [{{metric: gpu, aggregation: mean, higher_is_better: true}}]
"""
CODE = """\
import os

def process_results(doc, results):
    return {"gpu": float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1"))}
"""


def test_every_worker_sees_its_own_gpus_and_a_task_of_the_user_s_says_so(fresh):
    tasks = fresh / "tasks"
    tasks.mkdir()
    (tasks / "which_gpu.py").write_text(CODE)
    (tasks / "which_gpu.yaml").write_text(TASK.format(data=fresh / "control.jsonl"))
    evaluation = SETTINGS["evaluation"] | {"tasks": "which_gpu", "include_path": "tasks"}
    write_settings(fresh, arms=[], metric="gpu", evaluation=evaluation, general_loss=None)
    words = ("experiment", "run", "experiment.yml", "--out", "exp", "--gpus", "3", "--gpus", "5")
    result = sae_merge(fresh, *words)
    assert result.returncode == 0, result.stderr
    found = read_experiment(fresh / "exp")
    assert found.metric == "gpu,none" and found.corpus is None
    assert {arm.name: arm.overall.score for arm in found.arms} == {"base": 3.0, "stethoscope": 5.0}
    assert next(one for one in found.conclusions if "general text" in one.claim).answer == "not tested"
