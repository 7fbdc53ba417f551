"""One behaviour suite over every engine."""

import itertools
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeout

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.compute.engine import Engine, Resources, TaskLost
from lepton_ai.compute.local import ProcessEngine, ThreadEngine, shared_threads
from lepton_ai.compute.ray import RayEngine
from lepton_ai.compute.worker import TaskTimedOut
from lepton_ai.core.errors import InvalidInput
from tests.compute import work

LOCAL = {"threads": ThreadEngine, "processes": ProcessEngine}


@pytest.fixture(scope="module", params=[*LOCAL, "ray"])
def engine(request):
    if request.param in LOCAL:
        with LOCAL[request.param](2) as engine:
            yield engine
        return
    pytest.importorskip("ray", reason="SKIPPED: install lepton-ai[cluster] to test on Ray")
    with RayEngine(workers=2) as engine:
        yield engine


def test_submit_returns_the_result(engine: Engine):
    assert engine.submit(work.square, 7).result() == 49


def test_the_tasks_error_is_the_callers(engine: Engine):
    with pytest.raises(ValueError, match="no 3"):
        engine.submit(work.fail, 3).result()


def test_map_keeps_the_order(engine: Engine):
    assert list(engine.map(work.square, range(100))) == [i * i for i in range(100)]


def test_map_without_order_loses_nothing(engine: Engine):
    waits = [0.2] + [0.0] * 20
    results = list(engine.map(work.sleep, waits, ordered=False, in_flight=4))
    assert sorted(results) == sorted(waits)
    assert results[0] == 0.0, "the slow task must not hold up the others"


def test_map_takes_items_as_needed(engine: Engine):
    taken = itertools.count()
    source = (next(taken) for _ in itertools.repeat(None))
    results = engine.map(work.square, source, in_flight=5)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    results.close()
    assert next(taken) <= 9


def test_map_of_nothing_is_empty(engine: Engine):
    assert list(engine.map(work.square, [])) == []


def test_map_reduce_combines_in_order(engine: Engine):
    assert engine.map_reduce(str, work.concatenate, range(100)) == "".join(map(str, range(100)))


def test_map_reduce_needs_an_item(engine: Engine):
    with pytest.raises(InvalidInput, match="at least one item"):
        engine.map_reduce(str, work.concatenate, [])


def test_a_sum_does_not_depend_on_the_engine_or_its_size():
    values = list(np.random.default_rng(0).normal(size=203) * 1e6)
    results = set()
    for kind, workers in itertools.product(LOCAL.values(), (1, 3)):
        with kind(workers) as engine:
            results.add(engine.map_reduce(float, work.add, values))
    assert len(results) == 1
    assert results.pop() == pytest.approx(sum(values))


def test_retries(engine: Engine, tmp_path):
    with pytest.raises(RuntimeError, match="not yet"):
        engine.submit(work.fails_twice, tmp_path, retries=1).result()
    (tmp_path / "fresh").mkdir()
    assert engine.submit(work.fails_twice, tmp_path / "fresh", retries=2).result() == 2


def test_time_limit(engine: Engine):
    started = time.monotonic()
    with pytest.raises(TaskTimedOut, match=r"limit of 0\.2 s"):
        engine.submit(work.spin, 3, timeout=0.2).result()
    assert time.monotonic() - started < 2.5
    assert engine.submit(work.square, 2, timeout=30).result() == 4


def test_shared_data(engine: Engine):
    array = np.arange(1_000_000, dtype=np.float64)
    reference = engine.put(array)
    assert engine.submit(work.total, reference).result() == array.sum()
    assert engine.submit(work.add, engine.put("a"), "b").result() == "ab"


def test_impossible_resources_are_refused(engine: Engine):
    for resources in (Resources(cpus=1e6), Resources(memory=10**15), Resources(cpus=-1)):
        with pytest.raises(InvalidInput):
            engine.submit(work.square, 1, resources=resources)


def test_resources_limit_what_runs_at_once():
    running, most, lock = 0, 0, threading.Lock()

    def busy(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    with ThreadEngine(4) as engine:
        list(engine.map(busy, range(12), resources=Resources(cpus=2)))
        assert most == 2
        most = 0
        memory = engine.nodes()[0].memory
        list(engine.map(busy, range(6), resources=Resources(memory=memory // 2 + 1)))
        assert most == 1


def test_cancelled_work_does_not_run(engine: Engine, tmp_path):
    blockers = [engine.submit(work.sleep, 0.4) for _ in range(2)]
    waiting = engine.submit(work.fails_twice, tmp_path)
    assert waiting.cancel()
    for blocker in blockers:
        blocker.result()
    assert engine.submit(work.square, 2).result() == 4
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_task_leaves_its_worker_whatever_it_does(engine: Engine):
    if not isinstance(engine, RayEngine):
        pytest.skip("a local pool ends what it began")
    endless = [engine.submit(work.calculate, 2**31 - 1) for _ in range(engine.workers)]
    # They have begun, and no worker is free.
    with pytest.raises(FutureTimeout):
        endless[0].result(timeout=3)
    assert all(task.cancel() for task in endless)
    assert engine.submit(work.square, 3).result(timeout=120) == 9


def test_killed_workers_cost_no_result(tmp_path):
    with ProcessEngine(2) as engine:
        items = [(tmp_path, i) for i in range(20)]
        assert list(engine.map(work.dies_once, items)) == [i * i for i in range(20)]


def test_a_task_that_always_kills_its_worker_ends():
    with ProcessEngine(1) as engine:
        with pytest.raises(TaskLost, match="died"):
            engine.submit(work.always_dies, 0).result()
        assert engine.submit(work.square, 3).result() == 9


@pytest.mark.parametrize("kind", LOCAL.values())
def test_a_closed_engine_says_so(kind):
    engine = kind(1)
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(work.square, 1).result()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), min_size=1, max_size=80))
def test_map_reduce_equals_the_plain_sum(values):
    assert shared_threads(2).map_reduce(int, work.add, values) == sum(values)
