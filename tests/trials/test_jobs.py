"""Commands are run when what they need stands, once, and what each took is kept."""

from functools import partial
from pathlib import Path

from trials.jobs import Job, read_timings, run_jobs


def job(root: Path, name: str, makes: str, needs: tuple[str, ...] = (), code: str = "") -> Job:
    script = f"from pathlib import Path; {code or f'Path({makes!r}).touch()'}"
    return Job("stage", name, ("python", "-c", script), needs, (root / makes).exists)


def test_a_job_waits_for_what_another_makes(tmp_path):
    told: list[str] = []
    jobs = [job(tmp_path, "later", "second", ("first",)), job(tmp_path, "sooner", "first")]
    assert run_jobs(tmp_path, jobs, 2, told.append) == []
    assert [one.name for one in read_timings(tmp_path)] == ["sooner", "later"]
    assert all(one.code == 0 and one.cpu_seconds > 0 for one in read_timings(tmp_path))
    assert told[0] == f"$ {jobs[1].command}"


def test_what_stands_is_not_made_again(tmp_path):
    (tmp_path / "first").touch()
    assert run_jobs(tmp_path, [job(tmp_path, "sooner", "first")], 1, print) == []
    assert read_timings(tmp_path) == []


def test_a_job_that_fails_is_told_with_its_log_and_not_tried_again(tmp_path):
    told: list[str] = []
    failing = job(tmp_path, "broken", "never", code="raise SystemExit('no such layer')")
    waiting = job(tmp_path, "after", "more", ("never",))
    assert run_jobs(tmp_path, [failing, waiting], 2, told.append) == [failing, waiting]
    assert "FAILED (1)" in told[-1]
    assert "no such layer" in (tmp_path / "logs" / "stage-broken.log").read_text()


def test_files_that_a_command_reads_are_written_first(tmp_path):
    asked = tmp_path / "asked.yml"
    reading = Job(
        "stage", "one", ("python", "-c", "open('done', 'w').write(open('asked.yml').read())"), (),
        (tmp_path / "done").exists, partial(asked.write_text, "layers"),
    )  # fmt: skip
    assert run_jobs(tmp_path, [reading], 1, print) == []
    assert (tmp_path / "done").read_text() == "layers"


def test_a_job_that_has_more_to_do_when_the_others_are_done_is_run_once_more(tmp_path):
    count = "Path('runs').open('a').write('x')"
    more = Job("stage", "more", ("python", "-c", f"from pathlib import Path; {count}"), (), lambda: False)
    assert run_jobs(tmp_path, [more], 1, print) == [more]
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_job_that_nothing_runs_beside_has_all_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("trials.jobs.os.cpu_count", lambda: 6)
    tell = "import os; Path('threads').open('a').write(os.environ['OMP_NUM_THREADS'] + ' ')"
    jobs = [
        job(tmp_path, "first", "one", code=f"{tell}; Path('one').touch()"),
        *(
            job(tmp_path, name, name, ("one",), f"{tell}; Path('{name}').touch()")
            for name in ("two", "three")
        ),
    ]
    assert run_jobs(tmp_path, jobs, 2, print) == []
    assert (tmp_path / "threads").read_text().split() == ["6", "3", "3"]
