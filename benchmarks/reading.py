"""How fast a folder of DICOM slices is read, against bare pydicom, in ratios of one run.

Run: python benchmarks/reading.py [slices [rounds]]

Generates 512 x 512 slices of 16 bits with the header of a CT (257 elements), as several series,
in each transfer syntax, then times in turn, round after round:

- pydicom: ``dcmread(path).pixel_array`` for each file, one after another: the baseline;
- decode: the same files to rescaled arrays with their metadata, on all cores;
- read_images: that, and pixel digests, fingerprints, hashing, encryption and storing of every
  file, with manifest and lineage, in a fresh workspace;
- plain copy: the files' bytes into one other file, flushed to disk: what storing costs at least;
- from the store: decrypting and decoding the volumes of the stored set.

A ratio is the baseline's time over the other's in the same round; its median and its extremes
over the rounds are shown, with the processor time of all threads for one file, which says what
part of a ratio is less work and what part is more cores. TMPDIR says which disk is used.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    generate_uid,
)

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.settings import Settings
from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.read import read_images
from lepton_ai.storage import Workspace

SIDE = 512
SERIES = 20
CODERS = {
    "raw": (ExplicitVRLittleEndian, None),
    "JPEG 2000 lossless": (
        JPEG2000Lossless,
        lambda pixels: imagecodecs.jpeg2k_encode(
            pixels, level=0, reversible=True, codecformat="j2k"
        ),
    ),
    "JPEG-LS lossless": (JPEGLSLossless, imagecodecs.jpegls_encode),
}


def generate(folder: Path, count: int, name: str) -> list[Path]:
    """Write slices of a noisy phantom, shuffled in name, and return their paths."""
    syntax, coder = CODERS[name]
    numbers = np.random.default_rng(0)
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    del dataset[0xFFFCFFFC]
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.file_meta.TransferSyntaxUID = syntax
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    folder.mkdir()
    paths = []
    for number in range(count):
        series, place = divmod(number, SERIES)
        if place == 0:
            dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[name, str(series)])
        body = 1000.0 * (x**2 + y**2 < 0.16) + 200 * np.sin(9 * x + place / 5) * np.cos(7 * y)
        noisy = np.clip(body + 300 + numbers.normal(0, 12, x.shape), 0, 4095).astype(np.uint16)
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(number)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.ImagePositionPatient = [-158.1, -179.0, -75.7 + 5.0 * place]
        dataset.PixelData = noisy.tobytes() if coder is None else encapsulate([coder(noisy)])
        dataset["PixelData"].VR = "OW" if coder is None else "OB"
        dataset["PixelData"].is_undefined_length = coder is not None
        paths.append(folder / f"{(number * 7919) % count:05d}.dcm")
        dataset.save_as(paths[-1])
    return sorted(paths)


def bare(paths: list[Path]) -> None:
    for path in paths:
        pydicom.dcmread(path).pixel_array  # noqa: B018 (decodes)


def decoded(paths: list[Path]) -> None:
    engine = shared_threads()
    batches = [paths[start : start + 4] for start in range(0, len(paths), 4)]

    def decode_batch(batch: list[Path]) -> int:
        return len([decode_upload(path.read_bytes())[0] for path in batch])

    assert sum(engine.map(decode_batch, batches)) == len(paths)


def copied(paths: list[Path], into: Path) -> None:
    with into.open("wb") as copy:
        for path in paths:
            copy.write(path.read_bytes())
        copy.flush()
        os.fsync(copy.fileno())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that the work took, by the clock and of the processors."""
    start, before = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - before


def measure(root: Path, name: str, count: int, rounds: int) -> None:
    folder = root / name.replace(" ", "-")
    paths = generate(folder, count, name)
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    print(f"\n{name}: {count} files, {megabytes:.0f} MB, {os.cpu_count()} cores, {rounds} rounds")
    times: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds):
        home = root / f"workspace-{number}"
        workspace = Workspace.open(settings=Settings(home=home))
        stored = []

        def full(workspace: Workspace = workspace, stored: list[object] = stored) -> None:
            stored.append(read_images(folder, name="slices", workspace=workspace))

        def again(stored: list[object] = stored) -> None:
            assert sum(len(array) for array in stored[0].arrays()) == count

        tasks = {
            "pydicom, serial": lambda: bare(paths),
            "decode": lambda: decoded(paths),
            "read_images": full,
            "plain copy": lambda home=home: copied(paths, home / "copy"),
            "from the store": again,
        }
        # Every other round begins with the second half, so that none always follows a slow one;
        # the stored set exists before it is read either way.
        order = list(tasks) if number % 2 == 0 else [*list(tasks)[2:], *list(tasks)[:2]]
        for step in order:
            times.setdefault(step, []).append(timed(tasks[step]))
        workspace.close()
        shutil.rmtree(home)
    print(f"{'':16}{'files/s':>9}{'spread':>15}{'ratio':>8}{'spread':>15}{'CPU ms':>9}")
    base = [seconds for seconds, _ in times["pydicom, serial"]]
    for step, pairs in times.items():
        rates = [count / seconds for seconds, _ in pairs]
        ratios = [first / seconds for first, (seconds, _) in zip(base, pairs, strict=True)]
        work = statistics.median(1000 * spent / count for _, spent in pairs)
        print(
            f"{step:16}{statistics.median(rates):9.0f}"
            f"{f'{min(rates):.0f} - {max(rates):.0f}':>15}"
            f"{statistics.median(ratios):8.2f}"
            f"{f'{min(ratios):.2f} - {max(ratios):.2f}':>15}{work:9.2f}"
        )
    shutil.rmtree(folder)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as folder:
        for name in CODERS:
            slow = name != "raw"
            measure(
                Path(folder),
                name,
                count // 3 if slow else count,
                max(3, rounds // 2) if slow else rounds,
            )


if __name__ == "__main__":
    main()
