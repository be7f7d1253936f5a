"""Whether mergekit and lm-eval see the plugin: asked in fresh interpreters, as a user starts them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from sae_merge_method._startup import COMPLAINT, SWITCH, switched_off
from sae_merge_method.health.finding import DISTRIBUTION, REINSTALL, Finding

_PROBE_SECONDS = 300

# Each runs in an interpreter of its own that imports the host first, as the host's commands do,
# and prints the names of ours that it then finds there.
_PROBES = {
    "mergekit": """
from mergekit.merge_methods import registered_methods
known = registered_methods()
from sae_merge_method.merge.methods import METHODS
names = [method.spec.name for method in METHODS if method in known]
""",
    "lm-eval": """
from lm_eval.tasks import TaskManager
index = TaskManager().task_index
from sae_merge_method.lm_eval_tasks import tasks_path
ours = [e for e in index.values() if e.yaml_path and tasks_path() in e.yaml_path.resolve().parents]
names = [entry.name for entry in ours if entry.kind.name == "GROUP"]
""",
}


def seen_by_hosts() -> Iterator[Finding]:
    """Ask a fresh interpreter per host, both at once, away from the working folder's modules."""
    with tempfile.TemporaryDirectory() as nowhere:
        running = {
            host: subprocess.Popen(
                [sys.executable, "-c", f"{probe}\nimport json; print(json.dumps(names))"],
                cwd=nowhere,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for host, probe in _PROBES.items()
        }
        try:
            for host, process in running.items():
                yield _seen(host, process)
        finally:
            for process in running.values():
                process.kill()
                process.wait()


def _seen(host: str, process: "subprocess.Popen[str]") -> Finding:
    subject = f"seen by {host}"
    try:
        out, err = process.communicate(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        problem = f"a fresh interpreter did not answer within {_PROBE_SECONDS} s"
        return Finding(subject, "unknown", problem, "try again when the machine is less busy")
    if process.returncode != 0:
        last = err.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        mend = f"reinstall what the message names, or all: pip install --force-reinstall {DISTRIBUTION}"
        return Finding(subject, "no", f"importing {host} and this plugin fails: {last[0]}", mend)
    names = json.loads(out.splitlines()[-1])
    if names:
        return Finding(subject, ", ".join(sorted(names)))
    complaints = [line[line.index(COMPLAINT) :] for line in err.splitlines() if COMPLAINT in line]
    problem = complaints[0] if complaints else "a fresh interpreter does not run the start-up hook"
    return Finding(subject, "no", problem, _without_hook(host))


def _without_hook(host: str) -> str:
    """How to get the hook back, and how to do without it."""
    cure = f"unset {SWITCH}" if switched_off() else REINSTALL
    if host == "mergekit":
        return f"{cure}; 'sae-merge merge' works without the hook"
    return f'{cure}; without the hook: lm_eval --include_path "$(sae-merge tasks-path)"'
