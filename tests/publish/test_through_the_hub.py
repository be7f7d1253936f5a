"""Sharing through a Hub on loopback, with the real huggingface_hub client in processes of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from sae_merge_method.artifacts.edit_report import read_edit_report
from tests import warm
from tests.hub_server import Hub
from tests.publish.test_of_search import save_tuned
from tests.recipes import recipe_text

PROGRAM = "import sys; from sae_merge_method.cli.main import main; sys.argv[0] = 'sae-merge'; main()"
RECIPE = "hf://me/maths-recipe/recipe.yml"


def upload_recipe(hub: Hub, folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "recipe.yml").write_text(text)
    # Code in a repository is neither fetched nor run.
    (folder / "modeling_evil.py").write_text("raise SystemExit('this ran')\n")
    hub.upload("me/maths-recipe", folder)


@pytest.fixture(scope="module")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with torch, and without the Hub's client: that reads its environment as it is loaded."""
    return warm.python(tmp_path_factory.mktemp("warm"), "torch")


@pytest.fixture
def sae_merge(warm_python: Path, hub: Hub) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a user whose home is a folder, and whose Hub is the one on loopback."""

    def run(home: Path, *words: object, offline: bool = False) -> subprocess.CompletedProcess[str]:
        environ = environment(hub, home, offline=offline)
        command = [str(warm_python), "-c", PROGRAM, *map(str, words)]
        return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True)

    return run


def environment(hub: Hub, home: Path, *, offline: bool) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "1000",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1000",
        "NO_PROXY": "127.0.0.1",
    }


def test_a_shared_recipe_is_checked_pinned_merged_rebuilt_and_served_offline_again(
    tmp_path, hub, merged, sae_merge
):
    home = tmp_path / "user"
    home.mkdir()
    comment = "# chosen by ear\n"
    text = comment + recipe_text(Path("me/base"), Path("me/donor"), weight="0.5")
    upload_recipe(hub, tmp_path / "recipe", text)
    commits = {name: hub.repositories[name].commit for name in ("me/base", "me/donor")}

    checked = sae_merge(home, "recipe", "check", RECIPE, "--out", "pinned.yml")
    assert checked.returncode == 0, checked.stderr
    row = next(line for line in checked.stdout.splitlines() if line.startswith("me/base@"))
    assert row.split() == [f"me/base@{commits['me/base']}", "47.4", "kB", "47.4", "kB"]
    assert "94.6 kB to download in all" in checked.stdout
    assert not [line for line in hub.requests if "model.safetensors" in line]
    pinned = (home / "pinned.yml").read_text()
    assert pinned.startswith(comment)
    assert yaml.safe_load(pinned)["base_model"] == f"me/base@{commits['me/base']}"
    assert yaml.safe_load(pinned)["models"][0]["model"] == f"me/donor@{commits['me/donor']}"

    direct = sae_merge(home, "merge", RECIPE, "out")
    assert direct.returncode == 0, direct.stderr
    assert read_edit_report(home / "out").tensors == read_edit_report(merged.out).tensors
    assert sorted(path.name for path in home.iterdir()) == ["hf", "out", "pinned.yml"]
    assert not [line for line in hub.requests if ".py" in line]

    hub.repositories["me/base"].files["README.md"] = b"---\nlicense: gemma\n---\n# Base\n"
    carded = sae_merge(home, "card", "out", "--repo-id", "me/maths")
    assert carded.returncode == 0, carded.stderr
    metadata = ModelCard.load(home / "out" / "README.md").data.to_dict()
    assert (metadata["license"], metadata["base_model"]) == ("gemma", ["me/base", "me/donor"])

    hub.upload("me/maths", home / "out")
    before = len(hub.requests)
    rebuilt = sae_merge(home, "rebuild", "me/maths", "rebuilt")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "54 of 54 tensors have the hashes in the edit_report.json of me/maths" in rebuilt.stdout
    assert not [line for line in hub.requests[before:] if "maths" in line and "safetensors" in line]

    hub.repositories.clear()
    pinned_again = sae_merge(home, "recipe", "check", "pinned.yml", offline=True)
    assert pinned_again.returncode == 0, pinned_again.stdout
    assert "every tensor of the selected layers stands in every donor" in pinned_again.stdout
    again = sae_merge(home, "merge", RECIPE, "again", offline=True)
    assert again.returncode == 0, again.stderr
    verified = sae_merge(home, "verify", "again", offline=True)
    assert verified.returncode == 0, verified.stdout
    assert "not proved" not in verified.stdout


def test_a_searchs_recipe_that_is_pinned_and_merged_is_carded_with_the_search(tmp_path, hub, sae_merge):
    home = tmp_path / "user"
    home.mkdir()
    save_tuned(home / "tuned", recipe_text(Path("me/base"), Path("me/donor"), weight="0.5"))
    for words in (
        ("recipe", "check", "tuned/recipe.yml", "--out", "pinned.yml"),
        ("merge", "pinned.yml", "out"),
        ("card", "out", "--tune", "tuned", "--license", "mit"),
    ):
        done = sae_merge(home, *words)
        assert done.returncode == 0, done.stderr
    assert (
        f"me/base@{hub.repositories['me/base'].commit}" in (home / "out" / "mergekit_config.yml").read_text()
    )
    assert "## How the weights were found" in (home / "out" / "README.md").read_text()


def test_an_uploaded_folder_is_downloaded_by_the_hubs_client_with_the_same_bytes(tmp_path, hub, merged):
    hub.upload("me/maths", merged.out)
    program = (
        "import sys; from huggingface_hub import snapshot_download, ModelCard; "
        "print(snapshot_download('me/maths', local_dir='copy')); print(ModelCard.load('me/maths').data.tags)"
    )
    environ = environment(hub, tmp_path, offline=False)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "['mergekit', 'merge']" in done.stdout
    for file in merged.out.iterdir():
        assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()


def test_a_repository_cannot_lead_out_of_the_cache_or_the_output(tmp_path, hub, merged, sae_merge):
    home = tmp_path / "user"
    home.mkdir()
    base = hub.repositories["me/base"]
    base.files["../../../../evil.json"] = b"{}"
    upload_recipe(hub, tmp_path / "recipe", recipe_text(Path("me/base"), Path("me/donor")))
    result = sae_merge(home, "merge", RECIPE, "out")
    assert not list(tmp_path.rglob("evil.json"))
    assert result.returncode == 1
    assert not (home / "out").exists()
    assert "Traceback" not in result.stderr


def test_the_journal_of_an_edit_in_place_stays_on_the_hub(tmp_path, hub, sae_merge):
    home = tmp_path / "user"
    home.mkdir()
    for name in ("journal.json", "originals.bin", "kept/edit_report.json"):
        hub.repositories["me/base"].files[f".sae-merge-journal/{name}"] = b"{}"
    same = sae_merge(home, "diff", "me/base", "me/base")
    assert same.stdout.startswith("identical: 54 tensors"), same.stderr
    assert not [line for line in hub.requests if "journal" in line]


def test_what_the_hub_does_not_have_is_told_and_nothing_is_written(tmp_path, hub, sae_merge):
    home = tmp_path / "user"
    home.mkdir()
    upload_recipe(hub, tmp_path / "recipe", recipe_text(Path("me/nobody"), Path("me/donor")))
    checked = sae_merge(home, "recipe", "check", RECIPE, "--out", "pinned.yml")
    assert checked.returncode == 1
    (fault,) = [line for line in checked.stdout.splitlines() if line.startswith("FAULT")]
    assert fault.split(maxsplit=2)[1] == "me/nobody" and "the Hub does not give me/nobody" in fault
    assert not (home / "pinned.yml").exists()
    shutil.rmtree(tmp_path / "recipe")
    missing = sae_merge(home, "merge", "hf://me/base/recipe.yml", "out")
    assert missing.returncode == 1
    assert "the Hub does not give recipe.yml of me/base" in missing.stderr
    assert not (home / "out").exists()
