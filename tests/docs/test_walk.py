"""The commands of README and manual, typed on a miniature from the first page to the last."""

import os
import subprocess

import pytest

from tests.docs.blocks import blocks

SMALLER = {
    # What has learned nothing never ends an answer, and each token takes time.
    "--batch_size 150": "--batch_size 150 --gen_kwargs max_gen_toks=2",
    "attribute --base": (
        "attribute --max-documents 4 --max-length 32 --most-points 8 --tolerance 0.9 --groups 2 --base"
    ),
    "diagnose --model": "diagnose --permutations 20 --bootstrap 20 --model",
    "score diagnosis/ --score": "score diagnosis/ --permutations 20 --bootstrap 20 --score",
    "--width 4x --k 32 --tokens 2M": "--width 2x --k 4 --tokens 2k",
}
"""What commands say otherwise on a miniature of a few thousand tokens: how much, never what."""
DOCUMENTS = 12
"""Of each text, for the same reason."""
RUNNING = [block for block in blocks("sh") if block.runs]
PAGES = list(dict.fromkeys(block.page for block in RUNNING))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, tiny_settings, tiny_cache, tiny_miniature, warm_python):
    """By page, what came of all its commands that are not marked; a command that came before is not run again."""
    folder = tmp_path_factory.mktemp("reader")
    commands = str(warm_python.parent)
    environ = {**os.environ, "XDG_CACHE_HOME": str(tiny_cache), "PATH": f"{commands}:{os.environ['PATH']}"}
    environ["HF_DATASETS_CACHE"] = str(folder / "datasets")
    make = (
        "import sae_merge_method as sm\n"
        f"sm.make_miniature('demo', sm.MiniatureSettings(**{tiny_settings.model_dump()}))"
    )
    subprocess.run([str(warm_python), "-c", make], cwd=folder, env=environ, check=True, capture_output=True)
    for text in ("target.jsonl", "control.jsonl", "general.jsonl"):
        lines = (folder / "demo" / text).read_text().splitlines(keepends=True)
        (folder / "demo" / text).write_text("".join(lines[:DOCUMENTS]))
    asked = folder / "demo" / "tune.yml"
    asked.write_text(asked.read_text() + "finalists: 1\nshuffles: 1\nmax_length: 48\n")
    done, typed = {}, set()
    for page in PAGES:
        lines = [line for block in RUNNING if block.page == page for line in block.text.splitlines()]
        script = "\n".join(line for line in lines if line.partition("  #")[0].strip() not in typed)
        typed |= {line.partition("  #")[0].strip() for line in lines if line.startswith("sae-merge")}
        for written, smaller in SMALLER.items():
            script = script.replace(written, smaller)
        done[page] = subprocess.run(
            ["bash", "-eux"], input=script, text=True, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=folder if page == "README.md" else folder / "demo",
        )  # fmt: skip
    return done


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_as_they_stand_there(outcomes, page):
    assert outcomes[page].returncode == 0, outcomes[page].stdout[-4000:]


def test_the_readme_leads_to_a_verdict(outcomes):
    assert "not shown" in outcomes["README.md"].stdout.partition("sae-merge compare")[2]
