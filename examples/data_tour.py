"""The data platform on real data: credit records, traffic, turbofans and chest X-rays.

    python examples/data_tour.py FOLDER

FOLDER holds the sets, as `finance/german_credit/credit-g.arff`, `city/pems08/*.npz`,
`manufacturing/cmapss/train_FD001.txt.xz` and `medical/pneumonia_dicom`. Everything is stored in the
workspace (`LEPTON_HOME`), and what is printed at the end can be asked for again.
"""

import lzma
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lepton_ai import DataManagement
from lepton_ai.data.analysis import anomalies, decompose, leakage_suspects, target_associations
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.privacy.budget import set_budget
from lepton_ai.data.privacy.dicom import deidentify_images
from lepton_ai.data.privacy.protect import Band, Drop, Token
from lepton_ai.data.quality import NotNull, OneOf, Range, check_table, quarantine, set_rules
from lepton_ai.data.recipes import Calendar, Derive, DropColumns, OneHot, Outliers, Recipe, Scale
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, restore_backup, verify_backup


def credit(folder: Path) -> None:
    """Credit records: a gate of rules, a proposed recipe, versions, and who sees what."""
    workspace = Workspace.open()
    set_rules(
        workspace,
        "bank.credit",
        [Range(column="age", low=18, high=110), OneOf(column="class", values=("good", "bad"))],
    )
    table = DataManagement.read_table(folder / "credit-g.arff", name="bank.credit")
    again = DataManagement.read_table(folder / "credit-g.arff", name="bank.credit")
    print(f"{table.ref}: {len(table):,} rows; imported again it is {again.ref}")
    rows = table.to_polars().head(2).with_columns(age=pl.Series([17, 40]))
    wider = table.append(rows)
    kept = quarantine("bank.credit")
    assert kept is not None
    print(f"of 2 more rows {len(wider) - len(table)} entered, {len(kept)} kept aside:")
    print("  ", kept.to_polars()["_reasons"][0])
    print(check_table(wider, [NotNull(column="purpose"), Range(column="age", low=18)]))

    print(DataManagement.propose_recipe(wider, target="class"))
    recipe = Recipe.of(
        Outliers(columns=("credit_amount",), width=3.0),
        Derive(columns={"monthly": "credit_amount / duration"}),
        Scale(columns=("age", "monthly")),
        OneHot(columns=("purpose",)),
    )
    ready = DataManagement.run_recipe(recipe, wider, "bank.credit_ready")
    print(f"{ready.ref}: {len(ready.columns)} columns")

    personal = {"age": ColumnEntry(tags=("personal",))}
    change_entry(workspace, "bank.credit", lambda entry: Entry(rules=entry.rules, columns=personal))
    question = "select class, count(*) as n, avg(age) as age from bank.credit group by class"
    print(DataManagement.sql(f"{question} order by class").rows)
    with acting_as("analyst"):
        print("an analyst sees", DataManagement.sql(question).rows["age"].to_list())
    wider.tag("reviewed")
    print(wider.delete("duration > 60").history().select("version", "operation", "rows", "tags"))


def understood(folder: Path) -> None:
    """What the data hold: credit by its target, traffic by its rhythm, engines by what is odd."""
    table = DataManagement.open_dataset("bank.credit")
    found = target_associations(table, "class").to_polars()
    print(f"tells most of credit: {found['column'][0]}")
    print(leakage_suspects(table, "class"))
    flow = np.load(next((folder / "city" / "pems08").glob("*.npz")))["flow"][:, 0]
    seasons = " and ".join(map(str, decompose(flow.astype(float)).seasons))
    print(f"traffic repeats every {seasons} steps of five minutes")
    engines = DataManagement.open_dataset("plant.engines").to_polars().drop("engine", "cycle")
    print("the oddest engine state:", "; ".join(anomalies(engines.head(4000)).rows[0].reasons))


def shared() -> None:
    """Credit records that may leave: protected, k-anonymous, or asked with noise."""
    table = DataManagement.open_dataset("bank.credit")
    quasi = ["age", "personal_status", "job"]
    columns = {"age": Band(10), "foreign_worker": Drop(), "residence_since": Token("R-")}
    print(f"protected: {DataManagement.protect(table, columns, 'bank.shared').columns[:5]}")
    safe = DataManagement.anonymise(table, quasi, k=10, l=2, sensitive=["class"])
    print(f"k-anonymity from {safe.before.k} to {safe.after.k}, in {safe.after.classes} groups")
    set_budget(table.workspace, "bank.credit", 1.0)
    private = DataManagement.PrivateTable(table)
    mean = private.mean("age", (18, 110), epsilon=0.5)
    print(f"mean age, differentially private: {mean.value:.0f}; left: {mean.left['bank.credit']}")


def traffic(folder: Path) -> None:
    """Traffic: 170 sensors every five minutes become hourly flows, in a columnar table."""
    flow = np.load(next(folder.glob("*.npz")))["flow"][:2016, :20].astype(np.int64)
    start = datetime(2016, 8, 7, 4, 45)
    times = [start + timedelta(minutes=5 * step) for step in range(len(flow))]
    frame = pl.DataFrame(
        {
            "moment": np.repeat(np.array(times, dtype="datetime64[us]"), flow.shape[1]),
            "sensor": np.tile(np.arange(flow.shape[1]), len(flow)),
            "flow": flow.ravel(),
        }
    )
    table = DataManagement.read_table(frame, name="city.flow")
    hourly = Recipe.of(
        Calendar(
            time="moment",
            every="1h",
            by=("sensor",),
            values={"flow": "sum(flow)", "most": "max(flow)", "typical": "quantile(flow, 0.5)"},
        )
    )
    hours = DataManagement.run_recipe(hourly, table, "city.hourly")
    answer = DataManagement.sql(
        "select hour(moment) as hour, round(avg(flow)) as flow from city.hourly "
        "group by 1 order by 2 desc"
    )
    print(f"{hours.ref}: {len(hours):,} rows; the busiest hour of the day: {answer.rows.row(0)}")


def turbofans(folder: Path) -> None:
    """Turbofans: a table that grows as engines run; corrections come by key."""
    names = ["engine", "cycle", "s1", "s2", "s3", *(f"sensor{n}" for n in range(1, 22))]
    with lzma.open(folder / "train_FD001.txt.xz", "rt") as file:
        rows = [line.split() for line in file]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("engine", "cycle").cast(pl.Int64), pl.exclude("engine", "cycle").cast(pl.Float64)
    )
    table = DataManagement.read_table(frame.filter(pl.col("engine") <= 20), name="plant.engines")
    for first in range(21, 101, 20):
        table = table.append(frame.filter(pl.col("engine").is_between(first, first + 19)))
    right = table.upsert({"engine": [1], "cycle": [1], "sensor2": [641.5]}, on=["engine", "cycle"])
    print(f"{right.ref}: {len(right):,} rows, updated {right.dataset.facts['updated']}")
    compact = right.compact()
    done = compact.expire(keep=2)
    print(f"compacted to {compact.ref}; {len(done.versions)} old versions gave back their room")
    constant = Recipe.of(DropColumns(constant=True)).fit(compact).steps[0]
    print(f"sensors that never change: {', '.join(constant.dropped)}")
    print(compact.scan(["cycle"], where="engine = 7").select(pl.len()).collect().item(), "cycles")


def x_rays(folder: Path, out: Path) -> None:
    """Chest X-rays: copies that name nobody, as an image set."""
    report = deidentify_images(folder / "normal", out / "anonymous", keep_going=True)
    print(report)
    images = DataManagement.read_images(out / "anonymous", name="ward.anonymous", label=None)
    found = DataManagement.sql("select count(*) as images from ward.anonymous")
    print(f"{images.ref}: {found.rows.item():,} images")


def forgotten(folder: Path, out: Path) -> None:
    """One patient withdraws consent: their images leave the set, the store and the backups."""
    workspace = Workspace.open()
    images = DataManagement.read_images(folder / "normal", name="ward.scans", label=None)
    patient = images.entries[0].meta.patient
    assert patient is not None
    create_backup(workspace, str(out / "kept"))
    report, envelope = DataManagement.erase_subject(workspace, [patient])
    (out / "erased.json").write_bytes(envelope)
    left = DataManagement.open_dataset("ward.scans")
    print(f"{report.images['ward.scans']} images of one patient are gone, {len(left)} are left")
    print(f"backups made anew: {len(report.backups)}; complete and signed: {report.complete}")


def backup(out: Path) -> None:
    """A backup, proved, and a workspace restored from it."""
    workspace = Workspace.open()
    made = create_backup(workspace, str(out / "backups"))
    print(f"{made.id}: {made.bytes:,} bytes; faults: {len([*verify_backup(workspace, made.url)])}")
    again = create_backup(workspace, str(out / "backups"))
    print(f"a second one copied {again.copied / made.copied:.1%} of that")
    key = workspace.home / "keys.json"
    restored = restore_backup(made.url, out / "restored", key_file=key)
    rows = DataManagement.open_dataset("plant.engines", restored).to_polars()
    print(f"restored: {len(rows):,} rows of plant.engines, the same: ", end="")
    print(rows.equals(DataManagement.open_dataset("plant.engines").to_polars()))
    restored.close()


if __name__ == "__main__":
    sets = Path(sys.argv[1])
    credit(sets / "finance" / "german_credit")
    shared()
    traffic(sets / "city" / "pems08")
    turbofans(sets / "manufacturing" / "cmapss")
    understood(sets)
    with tempfile.TemporaryDirectory() as scratch:
        x_rays(sets / "medical" / "pneumonia_dicom", Path(scratch))
        forgotten(sets / "medical" / "pneumonia_dicom", Path(scratch))
        backup(Path(scratch))
