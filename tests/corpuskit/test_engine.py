"""Many tasks at once, on this machine and on clusters whose workers die."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import building
import dying
from building import corpuskit, ended, quick_corpus, settings, started, written_toml
from corpuskit import engine
from corpuskit.cluster.worker import Cluster, Task, Unreachable, libraries, refill, task_for
from corpuskit.errors import BadSetting, CorpuskitError
from dying import die_at_seven, die_once, interrupted, refuse_seven, square, threads_of_blas

TWELVE = list(range(12))
SQUARES = [(number, number * number) for number in TWELVE]


# ---------------------------------------------------------------------- this machine


@pytest.mark.parametrize(("jobs", "backend"), [(1, "loky"), (2, "loky"), (2, "threading")])
def test_every_item_is_done_once(jobs: int, backend: str) -> None:
    assert sorted(engine.run(square, TWELVE, jobs, backend)) == SQUARES


def test_a_process_that_dies_here_is_told_in_one_line() -> None:
    with pytest.raises(CorpuskitError, match=r"a process died.*fewer --jobs"):
        list(engine.run(die_at_seven, TWELVE, 2, "loky"))


def test_processes_here_do_not_hear_ctrl_c() -> None:
    found = sorted(engine.run(interrupted, TWELVE, 2, "loky"))

    assert found == [(number, number) for number in TWELVE]
    # This process does, again.
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_while_processes_start_is_answered_when_they_have() -> None:
    went_on = False

    def start() -> None:
        nonlocal went_on
        with engine._deaf_children():
            signal.raise_signal(signal.SIGINT)
            went_on = True

    with pytest.raises(KeyboardInterrupt):
        start()
    assert went_on


@pytest.mark.filterwarnings("error")
def test_work_that_is_dropped_is_no_warning() -> None:
    running = engine.run(square, TWELVE, 2, "loky")
    next(running)
    running.close()


def test_ctrl_c_at_a_terminal_ends_a_build_of_processes_in_one_line(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 24)
    toml = written_toml(tmp_path / "N2C.toml", tmp_path / "corpus")
    where = ("--workspace", tmp_path / "w")
    process = started("build", "N2C", "--config", toml, "--jobs", 2, *where)
    parent = psutil.Process(process.pid)
    while process.poll() is None and not any(
        "popen_loky" in " ".join(child.cmdline()) for child in parent.children()
    ):
        time.sleep(0.002)
    children = parent.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    said = ended(process)

    assert said.code in (130, -signal.SIGINT)
    assert said.err == "stopped: nothing half-written is left; run it again to go on\n"
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running()]


def test_threads_keep_the_order() -> None:
    assert list(engine.threads(square, TWELVE, 2)) == [value for _, value in SQUARES]


# ------------------------------------------------------------------ before any work


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BadSetting, match="no backend 'spark'; there are loky, threading, dask"):
        engine.check_backend("spark")


def test_an_address_needs_a_backend_that_goes_there(tmp_path: Path) -> None:
    toml = written_toml(tmp_path / "N2C.toml", tmp_path)
    said = corpuskit("build", "N2C", "--config", toml, "--cluster", "tcp://head:8786")

    assert said.code == 2
    assert "--cluster is for --backend dask or ray" in said.err


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_is_told_before_any_work(
    backend: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    toml = written_toml(tmp_path / "N2C.toml", tmp_path)
    said = corpuskit("build", "N2C", "--config", toml, "--backend", backend)

    assert said.code == 2
    assert said.err.strip() == (
        f"error: --backend {backend} needs the package {package}; "
        f"pip install 'corpuskit[{backend}]'"
    )


# ------------------------------------------------------------------------ a worker


def test_a_task_returns_what_was_raised() -> None:
    with task_for(refuse_seven, Cluster()) as task:
        index, value, error = task(3, 7)

    assert (index, value, repr(error)) == (3, None, "ValueError('seven')")
    assert task(4, 8) == (4, 8, None)


def test_a_worker_with_other_libraries_is_refused() -> None:
    task = Task(function=square, libraries={**libraries(), "numpy": "1.0"}, visible=())
    _, _, error = task(0, 2)

    assert isinstance(error, Unreachable)
    assert "instead of 1.0" in error.problem
    assert f"numpy {libraries()['numpy']}" in error.problem


def test_a_worker_that_does_not_share_the_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with task_for(square, Cluster(workspace=tmp_path / "w")) as task:
        (beacon,) = task.visible
        assert task(0, 2) == (0, 4, None)
        # The same path exists on the other machine, but it is not the same folder.
        moved = tmp_path / "elsewhere" / beacon.name
        _, _, error = dataclasses.replace(task, visible=(moved,))(0, 2)

    assert isinstance(error, Unreachable)
    assert "does not see" in str(error)
    assert "file system that all machines share" in str(error)
    assert not beacon.exists()


def test_a_corpus_that_is_missing_here_too_is_no_reason(tmp_path: Path) -> None:
    with task_for(square, Cluster(roots=(tmp_path / "absent", tmp_path))) as task:
        assert task.visible == (tmp_path,)


def test_a_task_travels(tmp_path: Path) -> None:
    with task_for(square, Cluster(workspace=tmp_path)) as task:
        assert pickle.loads(pickle.dumps(task))(1, 3) == (1, 9, None)


def test_a_worker_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    with task_for(threads_of_blas, Cluster()) as task:
        _, found, _ = task(0, 0)

    assert found == {1}


def test_no_more_is_handed_out_than_workers_can_soon_do() -> None:
    queue = enumerate(range(1000))
    waiting = refill(queue, [], slots=3)

    assert len(waiting) == 12
    assert refill(queue, waiting, slots=3) == []
    assert refill(queue, waiting, slots=2) == []  # a worker has died
    assert len(refill(queue, waiting[:5], slots=3)) == 7
    assert len(refill(queue, [], slots=0)) == 1


def test_a_file_that_shows_late_is_waited_for() -> None:
    answers = iter([None, None, "there"])

    assert engine.eventually(lambda: next(answers), seconds=60, step=0.0) == "there"
    assert engine.eventually(lambda: None, seconds=0.0, step=0.0) is None


# ------------------------------------------------------------------- real clusters


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import what these tests give them to do."""
    here = str(Path(dying.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


def local_fingerprint(root: Path, workspace: Path) -> str:
    return building.built(workspace, settings(root)).version.fingerprint


def wait_for(what: str, seen: object, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not seen():  # type: ignore[operator]
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"
        assert time.monotonic() < until, what
        time.sleep(0.02)


@contextmanager
def dask_cluster(tmp_path: Path, workers: int) -> Iterator[tuple[str, list[int]]]:
    """A scheduler and workers as `dask` starts them; yields its file and the workers' ids."""
    file = tmp_path / "scheduler.json"
    place = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = ["distributed.cli.dask_scheduler", *place, "--port", "0", "--host", "127.0.0.1"]
    one = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
    worker = ["distributed.cli.dask_worker", *place, *one]

    def begun(words: list[str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)

    running = [begun(scheduler)]
    try:
        while not file.is_file():
            assert running[0].poll() is None
            time.sleep(0.05)
        running += [begun(worker) for _ in range(workers)]
        yield str(file), [process.pid for process in running[1:]]
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.alone
def test_dask_with_a_worker_killed_builds_the_same(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 40)
    toml = written_toml(tmp_path / "N2C.toml", corpus.root)
    with dask_cluster(tmp_path, 2) as (file, workers):
        process = started(
            *("build", "N2C", "--config", toml, "--workspace", tmp_path / "w"),
            *("--backend", "dask", "--cluster", file, "--json"),
        )
        wait_for("objects", lambda: list((tmp_path / "w").glob("objects/*/*.safetensors")), process)
        os.kill(workers[0], signal.SIGKILL)
        said = ended(process)

    assert said.code == 0, said.err
    assert said.err == ""
    assert local_fingerprint(corpus.root, tmp_path / "local") in said.out
    assert building.litter(tmp_path / "w") == []
    assert corpuskit("verify", "N2C", "--workspace", tmp_path / "w").code == 0


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_of_ones_own_with_a_worker_killed_builds_the_same(
    backend: str, tmp_path: Path
) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 40)
    toml = written_toml(tmp_path / "N2C.toml", corpus.root)
    process = started(
        *("build", "N2C", "--config", toml, "--workspace", "w", "--json"),  # a relative workspace
        *("--backend", backend, "--jobs", "2"),
        cwd=tmp_path,
    )
    wait_for("objects", lambda: list((tmp_path / "w").glob("objects/*/*.safetensors")), process)
    family = psutil.Process(process.pid).children(recursive=True)
    mark = "ray::_do" if backend == "ray" else "spawn_main"
    workers = [child for child in family if any(mark in word for word in child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    said = ended(process)

    assert said.code == 0, said.err
    assert said.err == ""
    assert local_fingerprint(corpus.root, tmp_path / "local") in said.out
    assert building.litter(tmp_path / "w") == []
    assert [child for child in family if child.is_running() and child.status() != "zombie"] == []


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["dask", "ray"])
@pytest.mark.usefixtures("importable")
def test_the_tasks_of_a_dead_worker_are_done_again(backend: str, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    items = [(number, marker) for number in TWELVE]

    assert sorted(engine.run(die_once, items, 2, backend)) == [(n, n) for n in TWELVE]
    assert marker.exists()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["dask", "ray"])
@pytest.mark.usefixtures("importable")
def test_a_recording_that_kills_every_worker_ends_the_build(backend: str) -> None:
    with pytest.raises(CorpuskitError, match=r"workers died again and again.*more memory"):
        list(engine.run(die_at_seven, TWELVE, 2, backend))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["dask", "ray"])
@pytest.mark.usefixtures("importable")
def test_what_a_task_raises_is_raised_here(backend: str) -> None:
    with pytest.raises(ValueError, match="seven"):
        list(engine.run(refuse_seven, TWELVE, 2, backend))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(
    ("backend", "address", "told"),
    [
        ("dask", "tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("dask", "gibberish://", "no Dask scheduler answers at gibberish://"),
        ("dask", "absent.json", "no Dask scheduler answers at absent.json"),
        ("ray", "127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
    ],
)
def test_a_cluster_that_does_not_answer_is_named(backend: str, address: str, told: str) -> None:
    with pytest.raises(Unreachable, match=told):
        list(engine.run(square, TWELVE, 2, backend, Cluster(address=address)))


@pytest.mark.slow
@pytest.mark.alone
def test_a_worker_without_our_code_is_told_in_one_line(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, 1) as (file, _), pytest.raises(Unreachable) as caught:
        list(engine.run(square, TWELVE, 2, "dask", Cluster(address=file)))

    assert caught.value.problem == "the workers cannot load corpuskit (No module named 'dying')"
