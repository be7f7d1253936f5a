"""``sae-merge experiment run`` on real hosts: what it leaves, and that it is what the stages leave by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.artifacts.experiment_plan import read_arm
from sae_merge_method.artifacts.lm_eval_results import read_results
from tests.experiment_runs.ground import environment, outcome, sae_merge, stamps, write_settings

OWN = """\
merge_method: sae_stethoscope
base_model: ./base
models: [{model: ./donor, parameters: {weight: 0.5}}]
parameters: {layers: "1, 3"}
dtype: float32
"""


CHOSEN = ["all-layers", "donor", "scalpel", {"mine": "own.yml"}]
ARMS = ["base", "stethoscope", "donor", "all-layers", "scalpel", "mine"]


@pytest.fixture(scope="module")
def ran(field):
    """An experiment with a recipe of the user's own, run by two workers."""
    (field / "own.yml").write_text(OWN)
    write_settings(field, arms=CHOSEN)
    result = sae_merge(field, "experiment", "run", "experiment.yml", "--out", "exp", "--workers", "2")
    assert result.returncode == 0, result.stderr
    return field / "exp", result


def test_every_arm_is_done_and_the_report_written(ran):
    out, result = ran
    experiment = read_experiment(out)
    assert [arm.name for arm in experiment.arms] == ARMS and not experiment.missing
    assert all(arm.overall.n == 14 and arm.general is not None for arm in experiment.arms)
    for name in ARMS:
        assert f"\n{name} " in f"\n{result.stdout}".replace("*", ""), name
        assert f"{name}: done" in result.stderr
    assert (out / "experiment.html").is_file() and (out / "experiment.md").is_file()
    assert (out / "diagnosis" / "diagnosis.json").is_file()


def test_merged_checkpoints_are_gone_and_their_reports_kept(ran):
    out, _ = ran
    assert not (out / "merged").exists()
    assert not list(out.rglob("*.safetensors")) or {
        file.parent.name for file in out.rglob("*.safetensors")
    } == {"diagnosis"}
    assert read_edit_report(out / "arms" / "scalpel").merge_method == "sae_scalpel"


def test_base_is_evaluated_once_and_never_merged(ran):
    out, _ = ran
    assert len(list((out / "arms" / "base").rglob("results_*.json"))) == 1
    assert sorted(file.name for file in (out / "arms" / "base").iterdir()) == ["arm.json", "results"]
    others = [read_results(file).model for file in sorted(out.glob("arms/[!b]*/results"))]
    assert len(others) == 5
    assert ["merged" in model for model in others].count(False) == 1  # the donor, as it is


def test_lm_eval_is_started_once_a_worker_not_once_an_arm(ran):
    out, _ = ran
    logs = sorted((out / "logs").iterdir())
    assert [log.name for log in logs] == ["worker-0.log", "worker-1.log"]
    ran_here = sum(log.read_text().count("Running generate_until requests: 100%") for log in logs)
    assert ran_here >= 6


def test_an_arm_is_what_its_recipe_merges_to_by_hand(ran):
    out, _ = ran
    for name in ("scalpel", "mine"):
        merged = sae_merge(out.parent, "merge", f"exp/arms/{name}/recipe.yml", f"by-hand/{name}")
        assert merged.returncode == 0, merged.stderr
        assert read_edit_report(out.parent / "by-hand" / name).result_sha256 == read_arm(
            out / "arms" / name
        ).result_sha256  # fmt: skip


def test_an_evaluation_is_what_lm_eval_s_own_command_makes_of_the_same_model(ran):
    out, _ = ran
    words = ["run", "--model", "hf", "--model_args", "pretrained=./donor", "--tasks", "minerva_math_sae"]
    words += [
        "--device",
        "cpu",
        "--batch_size",
        "32",
        "--limit",
        "2",
        "--log_samples",
        "--output_path",
        "stock",
    ]
    words += ["--num_fewshot", "0", "--gen_kwargs", "max_gen_toks=16"]
    stock = subprocess.run(
        [str(Path(sys.executable).with_name("lm_eval")), *words],
        cwd=out.parent, env=environment(out.parent), capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert stock.returncode == 0, stock.stderr
    compared = sae_merge(
        out.parent,
        "compare",
        "stock",
        "exp/arms/donor/results",
        "--format",
        "json",
        "--metric",
        "exact_match",
    )
    assert compared.returncode == 0, compared.stderr
    comparison = json.loads(compared.stdout)
    assert comparison["mismatches"] == []
    assert [subject["delta"] for subject in comparison["subjects"]] == [0.0] * 7
    assert all(subject["paired"]["n"] == 2 for subject in comparison["subjects"])
    files = [next(out.parent.glob(f"{folder}/**/results_*.json")) for folder in ("stock", "exp/arms/donor")]
    one, other = (json.loads(file.read_text()) for file in files)
    for part in (
        "results",
        "group_subtasks",
        "task_hashes",
        "versions",
        "n-shot",
        "n-samples",
        "model_source",
    ):
        assert one[part] == other[part], part
    for part in (
        "model",
        "model_args",
        "limit",
        "gen_kwargs",
        "random_seed",
        "numpy_seed",
        "torch_seed",
        "fewshot_seed",
    ):
        assert one["config"][part] == other["config"][part], part


def log_p(folder: Path, texts: list[str], dtype: str) -> list[tuple[int, float]]:
    """Tokens and log-probability of each text after the first token, summed in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    found = []
    for text in texts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]])
        with torch.no_grad():
            logits = model(ids).logits[0, :-1].double().log_softmax(-1)
        found.append((ids.shape[1] - 1, float(logits.gather(1, ids[0, 1:, None]).sum())))
    return found


def test_the_general_loss_is_the_model_s_own(ran):
    out, _ = ran
    general = read_arm(out / "arms" / "base").general
    assert general is not None and len(general.nats) == 5
    texts = [json.loads(line)["text"] for line in (out.parent / "general.jsonl").read_text().splitlines()[:5]]
    expected = log_p(out.parent / "base", texts, "float32")
    assert general.tokens == tuple(tokens for tokens, _ in expected)
    assert general.nats == pytest.approx([-value for _, value in expected], rel=1e-4)


def test_the_loss_of_a_bfloat16_model_is_not_rounded_to_bfloat16(ran):
    from lm_eval.models.huggingface import HFLM

    from sae_merge_method.experiment.harness import log_likelihoods

    base = ran[0].parent / "base"
    text = json.loads((base.parent / "general.jsonl").read_text().splitlines()[0])["text"]
    texts = [" ".join([text] * 2), text, text[:40]]
    lm = HFLM(pretrained=str(base), dtype="bfloat16", device="cpu", batch_size=1)
    nats, tokens = log_likelihoods(lm, texts)
    expected = log_p(base, texts, "bfloat16")
    assert tokens == tuple(count for count, _ in expected)
    # A sum in bfloat16 keeps 8 bits: off by up to 1 in 256.
    assert nats == pytest.approx([-value for _, value in expected], rel=2e-4)
    assert lm.softmax_dtype is None
    (nats_cut,), (tokens_cut,) = log_likelihoods(lm, [" ".join([text] * 9)])
    assert lm.max_length * 0.9 < tokens_cut <= lm.max_length and nats_cut > nats[0]


def test_a_finished_experiment_runs_nothing_and_writes_the_same_report(ran):
    out, _ = ran
    write_settings(out.parent, arms=CHOSEN)
    before, when = outcome(out), stamps(out / "arms")
    recipes = {name for name in when if name.endswith("recipe.yml")}
    again = sae_merge(out.parent, "experiment", "run", "experiment.yml", "--out", "exp")
    assert again.returncode == 0, again.stderr
    assert outcome(out) == before
    assert {name for name, _ in stamps(out / "arms").items() ^ when.items()} == recipes


def test_the_report_can_be_written_anew_from_the_folder_alone(ran):
    out, _ = ran
    before = outcome(out)
    (out / "experiment.json").unlink()
    assert sae_merge(out.parent, "experiment", "report", "exp").returncode == 0
    assert outcome(out) == before


def test_the_settings_kept_in_the_folder_are_those_it_was_run_with(ran):
    out, _ = ran
    planned = sae_merge(out.parent, "experiment", "plan", "exp/experiment.yml", "--out", "exp")
    assert planned.returncode == 0, planned.stderr
    table = planned.stdout.split("\n\n")[0]
    assert [line.split()[:2] for line in table.splitlines()[2:]] == [[n, "done"] for n in ARMS]


def test_more_arms_can_be_asked_for_later_and_only_they_are_run(ran):
    out, _ = ran
    when = stamps(out / "arms" / "base") | stamps(out / "arms" / "scalpel" / "results")
    write_settings(out.parent, arms=[*CHOSEN, "random-layers"])
    words = ("experiment", "run", "experiment.yml", "--out", "exp", "--random-layers", "1", "--keep")
    result = sae_merge(out.parent, *words)
    assert result.returncode == 0, result.stderr
    assert [arm.name for arm in read_experiment(out).arms] == [*ARMS[:4], "random-layers-0", *ARMS[4:]]
    assert stamps(out / "arms" / "base") | stamps(out / "arms" / "scalpel" / "results") == when
    assert [folder.name for folder in (out / "merged").iterdir()] == ["random-layers-0"]
