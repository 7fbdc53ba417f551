"""Tick batching, with a trained model on a real event loop."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.predictor import Predictor
from lepton_ai.serving import batching
from lepton_ai.serving.batching import Batcher, Pace, Pending, compute
from lepton_ai.serving.messages import HttpError
from lepton_ai.serving.served import Served
from tests.serving.conftest import COLUMNS, open_workspace, records, tumours

ROWS = tumours()[0]


class Observed:
    """A predictor that notes how many rows each run had, and can be slow."""

    def __init__(self, inner: Predictor, pause: float = 0.0) -> None:
        self.signature = inner.signature
        self.outcome = inner.outcome
        self.features = inner.features
        self.features_from_tensors = inner.features_from_tensors
        self.labels = inner.labels
        self._run = inner.run
        self.pause = pause
        self.runs: list[int] = []

    def run(self, matrix: np.ndarray) -> np.ndarray:
        self.runs.append(len(matrix))
        time.sleep(self.pause)
        return self._run(matrix)


@pytest.fixture(scope="module")
def predictor(trained) -> Predictor:
    workspace = open_workspace(trained)
    loaded = Predictor.load(workspace, workspace.lineage.find("model", "tumour"))
    workspace.close()
    return loaded


def one(index: int, rows: int = 1) -> Pending:
    return Pending("records", records(ROWS[index : index + rows]), rows, b"", "owner")


def tensors(index: int, rows: int = 1, dtype: type = np.float64) -> Pending:
    block = ROWS[index : index + rows].astype(dtype)
    return Pending("tensors", dict(zip(COLUMNS, block.T, strict=True)), rows, b"", "owner")


def run(predictor, scenario, record=None):
    """Run a scenario with a batcher that has got to know its model."""

    def ids(served, computed):
        return [f"prd_{number}" for number in range(len(computed))]

    async def main():
        with ThreadPoolExecutor(2) as workers:
            served = Served("tumour", "deployment_x", "model_x", "tumour", 1, predictor)
            batcher = Batcher(served, record or ids, workers)
            await asyncio.gather(batcher.submit(one(0)))
            batcher._pace.observe(1, 0.0)
            for _ in range(40):
                batcher._pace.observe(1, predictor.pause)
            predictor.runs.clear()
            return await scenario(batcher)

    return asyncio.run(main())


def test_what_waits_at_one_turn_is_one_batch(predictor):
    observed = Observed(predictor)

    async def scenario(batcher):
        async def handler(index):
            return await batcher.submit(one(index))

        first = await asyncio.gather(*[handler(index) for index in range(16)])
        second = await asyncio.gather(*[handler(index) for index in range(16, 20)])
        return first + second

    answers = run(observed, scenario)
    assert observed.runs == [16, 4]
    expected = predictor.run(predictor.features(records(ROWS[:20])))
    assert np.array_equal(np.concatenate([a.answers for a in answers]), expected)
    assert [a.labels[0] for a in answers] == predictor.labels(expected)


def test_records_and_tensors_of_all_sizes_share_a_batch(predictor):
    observed = Observed(predictor)
    pendings = [
        one(0, 3),
        tensors(3, 2),
        tensors(5, 1, np.float32),
        one(6),
        tensors(7, 4),
        Pending("matrix", predictor.features(records(ROWS[11:13])), 2, b"", "owner"),
        one(13, 2),
    ]

    async def scenario(batcher):
        return await asyncio.gather(*[batcher.submit(pending) for pending in pendings])

    answers = run(observed, scenario)
    assert observed.runs == [15]
    expected = predictor.run(predictor.features(records(ROWS[:15])))
    got = np.concatenate([answer.answers for answer in answers])
    rows = [*range(5), *range(6, 15)]
    assert np.array_equal(got[rows], expected[rows])
    assert [len(answer.labels) for answer in answers] == [3, 2, 1, 1, 4, 2, 2]


def test_what_is_wrong_fails_alone(predictor):
    observed = Observed(predictor)
    wrong = Pending("records", [{"nonsense": 1}], 1, b"", "owner")

    async def scenario(batcher):
        waiting = [batcher.submit(pending) for pending in (one(0), wrong, one(1), one(2))]
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = run(observed, scenario)
    assert isinstance(answers[1], InvalidInput)
    expected = predictor.run(predictor.features(records(ROWS[:3])))
    assert [answers[i].answers[0].tolist() for i in (0, 2, 3)] == expected.tolist()


def test_a_slow_model_runs_in_a_thread_and_what_arrives_meanwhile_is_the_next_batch(predictor):
    slow = Observed(predictor, pause=0.1)

    async def scenario(batcher):
        begin = time.perf_counter()
        first = batcher.submit(one(0))
        await asyncio.sleep(0.02)
        # The loop was free while the model ran.
        assert time.perf_counter() - begin < 0.09
        assert not first.done()
        rest = [batcher.submit(one(index)) for index in range(1, 6)]
        await asyncio.gather(first, *rest)

    run(slow, scenario)
    assert slow.runs == [1, 5]


def test_too_many_waiting_requests_are_sent_away(predictor, monkeypatch):
    monkeypatch.setattr(batching, "MOST_WAITING", 3)
    slow = Observed(predictor, pause=0.05)

    async def scenario(batcher):
        first = batcher.submit(one(0))
        await asyncio.sleep(0.01)
        waiting = [batcher.submit(one(index)) for index in range(3)]
        with pytest.raises(HttpError) as refused:
            batcher.submit(one(4))
        assert refused.value.status == 503
        assert dict(refused.value.headers)[b"retry-after"] == b"1"
        await asyncio.gather(first, *waiting)
        await batcher.submit(one(5))

    run(slow, scenario)


def test_a_batch_has_a_bounded_number_of_rows(predictor, monkeypatch):
    monkeypatch.setattr(batching, "MOST_ROWS", 10)
    observed = Observed(predictor)

    async def scenario(batcher):
        sizes = (4, 4, 4, 25, 1)
        answers = await asyncio.gather(*[batcher.submit(one(0, size)) for size in sizes])
        assert [len(answer.labels) for answer in answers] == list(sizes)

    run(observed, scenario)
    assert observed.runs == [8, 4, 25, 1]


def test_without_a_receipt_there_is_no_answer(predictor):
    broken = [False]

    def record(served, computed):
        if broken[0]:
            raise OSError(28, "No space left on device")
        return ["prd_x"] * len(computed)

    async def scenario(batcher):
        broken[0] = True
        with pytest.raises(HttpError) as refused:
            await batcher.submit(one(0))
        assert refused.value.status == 503
        broken[0] = False
        assert (await batcher.submit(one(0))).id == "prd_x"

    run(Observed(predictor), scenario, record)


def test_a_model_that_breaks_is_no_fault_of_the_client(predictor):
    class Broken(Observed):
        def run(self, matrix):
            raise RuntimeError("out of order")

    (outcome,) = compute(Broken(predictor), [one(0)])
    assert isinstance(outcome, RuntimeError)

    class Short(Observed):
        def run(self, matrix):
            return super().run(matrix)[:-1]

    (outcome,) = compute(Short(predictor), [one(0, 3)])
    assert isinstance(outcome, RuntimeError)


def test_the_pace_of_unknown_sizes_is_judged_by_known_ones():
    pace = Pace()
    assert pace.expect(1) == float("inf")
    pace.observe(64, 0.004)
    # Smaller batches take at most as long; larger ones grow with their rows.
    assert pace.expect(1) == 0.004
    assert pace.expect(100) == 0.004
    assert pace.expect(256) == pytest.approx(0.016)
    pace.observe(1, 0.0001)
    assert pace.expect(1) == 0.0001
    # One long interruption is not taken for the model's own pace; a lasting change is.
    pace.observe(1, 0.010)
    assert pace.expect(1) < 0.002
    for _ in range(60):
        pace.observe(1, 0.005)
    assert pace.expect(1) == pytest.approx(0.005, rel=0.01)
    for _ in range(8):
        pace.observe(1, 0.0001)
    assert pace.expect(1) < 0.0002
