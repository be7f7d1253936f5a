"""Straight after installation, in an empty folder, with no import by the user: the hosts' own commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.lm_eval_tasks.conftest import SUBJECTS, write_benchmark, write_model
from tests.packaging.conftest import Run
from tests.packaging.environment import Environment

Host = Callable[..., str]

OPEN = (1, 3)
UNHOOKED = {"SAE_MERGE_NO_HOOK": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a base, a donor, and a recipe that opens two of the four layers."""
    tiny.gemma3_text(tmp_path / "base", seed=0)
    tiny.gemma3_text(tmp_path / "donor", seed=1)
    (tmp_path / "recipe.yml").write_text(_recipe("./base", "./donor"))
    return tmp_path


def _recipe(base: str, donor: str) -> str:
    return f"""\
merge_method: sae_stethoscope
base_model: {base}
models:
  - model: {donor}
    parameters: {{weight: 1.0}}
parameters: {{layers: "1, 3"}}
dtype: float32
"""


def _assert_edited(out: Path, folder: Path) -> None:
    """Gated-in layers hold the donor's values, all else the base's bytes."""
    base, donor = tiny.load_tensors(folder / "base"), tiny.load_tensors(folder / "donor")
    merged = tiny.load_tensors(out)
    assert merged.keys() == base.keys()
    for name, tensor in merged.items():
        if any(name.startswith(f"model.layers.{layer}.") for layer in OPEN):
            torch.testing.assert_close(tensor, donor[name])
        else:
            assert tiny.same_bytes(tensor, base[name]), name


def test_mergekit_yaml_runs_a_recipe(host: Host, folder: Path) -> None:
    host("mergekit-yaml", "recipe.yml", "out", cwd=folder)
    _assert_edited(folder / "out", folder)


def test_mergekit_multi_runs_a_recipe(host: Host, folder: Path) -> None:
    (folder / "recipe.yml").write_text("name: edited\n" + _recipe("./base", "./donor"))
    host("mergekit-multi", "recipe.yml", "--intermediate-dir", "parts", cwd=folder)
    _assert_edited(folder / "parts" / "edited", folder)


def test_mergekit_pytorch_runs_a_recipe(host: Host, folder: Path) -> None:
    (folder / "recipe.yml").write_text(_recipe("base/model.safetensors", "donor/model.safetensors"))
    host("mergekit-pytorch", "recipe.yml", "out", cwd=folder)
    _assert_edited(folder / "out", folder)


def test_merge_state_dicts_knows_the_method_by_name(warm: Run, folder: Path) -> None:
    program = """
from mergekit.merge_methods import merge_state_dicts
from safetensors.torch import load_file, save_file
models = {name: load_file(f"{name}/model.safetensors") for name in ("base", "donor")}
merged = merge_state_dicts(models, "sae_stethoscope", parameters={"layers": "1, 3"}, base="base")
save_file(merged, "merged.safetensors")
"""
    done = warm("-c", program, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "out").mkdir()
    (folder / "merged.safetensors").rename(folder / "out" / "merged.safetensors")
    _assert_edited(folder / "out", folder)


def test_child_processes_of_every_kind_have_the_hook_and_what_it_registers(warm: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("""
import multiprocessing

def is_hooked(_):
    import sys
    return any("sae_merge_method" in type(finder).__module__ for finder in sys.meta_path)

def names(_):
    from mergekit.merge_methods import registered_methods
    return [method.spec.name for method in registered_methods()]

if __name__ == "__main__":
    for start in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(start).Pool(1) as pool:
            assert pool.map(is_hooked, [0])[0], start
    # What it registers is the same in each: asked of the one that has the libraries loaded.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert "sae_stethoscope" in pool.map(names, [0])[0]
""")
    done = warm(str(tmp_path / "script.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_without_site_our_own_commands_register_for_themselves(installed: Environment, folder: Path) -> None:
    paths = json.loads(
        installed.run("-c", "import sys, json; print(json.dumps(sys.path[1:]))", cwd=folder).stdout
    )
    program = f"import sys; sys.path += {paths!r}; from sae_merge_method.cli.main import main; main()"
    installed.run("-S", "-c", program, "merge", "recipe.yml", "out", cwd=folder)
    _assert_edited(folder / "out", folder)
    tasks = installed.run("-S", "-c", program, "tasks-path", cwd=folder).stdout.strip()
    assert Path(tasks) == installed.site_packages / "sae_merge_method" / "lm_eval_tasks"


def test_declarations_imported_before_their_host_warn_of_nothing_and_register_when_asked(
    warm: Run, tmp_path: Path
) -> None:
    program = """
import warnings
warnings.filterwarnings("error", category=RuntimeWarning)
from sae_merge_method.merge.methods import mergekit_methods
from mergekit.merge_methods import registered_methods
from sae_merge_method.hosts.register import register_merge_methods
register_merge_methods()
register_merge_methods()
ours = list(mergekit_methods())
assert [method for method in registered_methods() if method in ours] == ours
"""
    done = warm("-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_host_keeps_its_own_loader(warm: Run, tmp_path: Path) -> None:
    look = """
import importlib.resources, inspect, mergekit.merge_methods as host
print(type(host.__loader__).__name__, type(host.__spec__.loader).__name__)
print(bool(inspect.getsource(host)), importlib.resources.files(host).is_dir())
"""
    lines = warm("-c", look, cwd=tmp_path).stdout.splitlines()
    assert lines == ["SourceFileLoader SourceFileLoader", "True True"]


def test_lm_eval_lists_our_tasks_beside_its_own(host: Host, tmp_path: Path) -> None:
    listed = host("lm_eval", "ls", "tasks", cwd=tmp_path)
    assert "minerva_math_sae_algebra" in listed
    assert "minerva_math_algebra" in listed


def test_lm_eval_validates_our_groups(host: Host, tmp_path: Path) -> None:
    said = host("lm-eval", "validate", "--tasks", "minerva_math_sae,minerva_math_sae_chat", cwd=tmp_path)
    assert "All tasks found and valid" in said


def test_lm_eval_evaluates_our_group(host: Host, tmp_path: Path) -> None:
    write_benchmark(tmp_path / "EleutherAI" / "hendrycks_math")
    write_model(tmp_path / "model")
    options = ["--device", "cpu", "--batch_size", "8", "--limit", "1", "--output_path", "out"]
    model = ["--model", "hf", "--model_args", "pretrained=./model"]
    host("lm_eval", *model, "--tasks", "minerva_math_sae", *options, cwd=tmp_path)
    (results,) = (tmp_path / "out").glob("*/results_*.json")
    assert json.loads(results.read_text())["groups"]["minerva_math_sae"]["answer_found,none"] == 1.0


def test_lm_eval_knows_every_group_and_subject_by_the_path_alone(
    installed: Environment, warm: Run, tmp_path: Path
) -> None:
    groups = ("minerva_math_sae", "minerva_math_sae_chat")
    names = [*groups, *(f"{group}_{subject}" for group in groups for subject in SUBJECTS)]
    command = ["-m", "lm_eval", "validate", "--tasks", ",".join(names)]
    unhooked = warm(*command, cwd=tmp_path, **UNHOOKED)
    assert "All tasks found and valid" not in unhooked.stdout
    done = warm(*command, "--include_path", str(_tasks(installed)), cwd=tmp_path, **UNHOOKED)
    assert done.returncode == 0, done.stderr
    assert "All tasks found and valid" in done.stdout


def test_lm_eval_evaluates_the_group_by_the_path_alone_and_weights_subjects_by_size(
    installed: Environment, warm: Run, tmp_path: Path
) -> None:
    write_benchmark(tmp_path / "EleutherAI" / "hendrycks_math")
    write_model(tmp_path / "model")
    command = ["-m", "lm_eval", "run", "--model", "hf", "--model_args", "pretrained=./model"]
    command += ["--device", "cpu", "--batch_size", "8", "--log_samples", "--output_path", "out"]
    command += ["--tasks", "minerva_math_sae", "--include_path", str(_tasks(installed))]
    done = warm(*command, cwd=tmp_path, **UNHOOKED)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "out").glob("*/results_*.json")
    written = json.loads(path.read_text())
    assert list(written["group_subtasks"]["minerva_math_sae"]) == [
        f"minerva_math_sae_{subject}" for subject in SUBJECTS
    ]
    # Subject number ``index`` has ``index + 2`` problems, and the model gets ``index`` of them right: by size
    # this is another number than the plain mean over subjects.
    right, problems = sum(range(len(SUBJECTS))), sum(index + 2 for index in range(len(SUBJECTS)))
    assert written["groups"]["minerva_math_sae"]["exact_match,none"] == pytest.approx(right / problems)
    assert written["groups"]["minerva_math_sae"]["answer_found,none"] == 1.0
    assert len(list(path.parent.glob("samples_minerva_math_sae_*.jsonl"))) == len(SUBJECTS)
    verdict = warm(str(installed.script("sae-merge")), "compare", "out", "out", cwd=tmp_path).stdout
    assert "McNemar" in verdict and "0 improved, 0 degraded, 7 not shown" in verdict
    assert "Note: Both sides are the same evaluation" in verdict


def _tasks(installed: Environment) -> Path:
    return installed.site_packages / "sae_merge_method" / "lm_eval_tasks"
