"""A person is planted in every place that keeps anything, erased, and looked for everywhere."""

import base64
import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pydicom
import pytest
import sqlalchemy as sa
from pydicom.data import get_testdata_file

from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.core.errors import AccessDenied, Corrupt, InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.documents.read import import_documents
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.erase import Subject, erase_subject, find, read_report
from lepton_ai.data.images.read import read_images
from lepton_ai.data.quality import quarantine, set_rules
from lepton_ai.data.quality.rules import Range
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    OneHot,
    Ordinal,
    Recipe,
    TargetEncode,
    Tfidf,
    open_recipe,
    run_recipe,
    save_recipe,
)
from lepton_ai.data.returning import ErasedFile
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.data.tables.create import store_table
from lepton_ai.ml.registry import models, touched_by_erasure
from lepton_ai.ml.training import train_classifier
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, list_backups, restore_backup, verify_backup
from lepton_ai.storage.nodes import read_node
from lepton_ai.storage.schema import metadata, nodes, objects
from tests.data.erase import papers
from tests.data.erase.test_content import mail, zipped
from tests.data.readers.books import excel

WHO = "CANARY-7731"
NAME = "Zdenka Wrzesniewska"
OTHER = "PATIENT-0042"


def people(count: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "pid": [WHO if row == 17 else f"P-{row:05d}" for row in range(count)],
            "name": [NAME if row == 17 else f"Person {row}" for row in range(count)],
            "age": chance.integers(18, 90, count),
            "pressure": chance.normal(120, 15, count).round(1),
            "note": [f"seen with {WHO}, well" if row == 40 else "well" for row in range(count)],
            "ill": chance.integers(0, 2, count),
        }
    )


def everything(workspace: Workspace) -> bytes:
    """Return all that a workspace keeps, decrypted: the independent look of the test."""
    parts: list[bytes] = []
    with workspace.database.read() as connection:
        for row in connection.execute(sa.select(nodes)):
            parts.append(
                row.name.encode() + json.dumps(read_node(workspace.keys, row).facts).encode()
            )
        for table in metadata.sorted_tables:
            for line in connection.execute(sa.select(table)):
                parts += [str(value).encode() for value in line]
        addresses = [*connection.scalars(sa.select(objects.c.address))]
    for address in addresses:
        content = workspace.objects.get(address)
        parts.append(content)
        if content.startswith(b"PAR1"):
            import io

            parts.append(pl.read_parquet(io.BytesIO(content)).write_ndjson().encode())
    for path in workspace.home.rglob("*"):
        if path.is_file():
            parts += [str(path.relative_to(workspace.home)).encode(), path.read_bytes()]
            if path.suffix == ".parquet":
                parts.append(pl.read_parquet(path).write_ndjson().encode())
    return b"\n".join(parts)


def tagged(workspace: Workspace, name: str, column: str = "pid") -> None:
    entry = Entry(columns={column: ColumnEntry(tags=("subject",))})
    change_entry(workspace, name, lambda _: entry)


@pytest.fixture
def planted(workspace: Workspace, tmp_path: Path) -> dict[str, Any]:
    """Plant the person in tables, versions, branches, derived data, images, models, backups."""
    (tmp_path / "in").mkdir()
    people().write_csv(tmp_path / "in" / "people.csv")
    table = read_table(tmp_path / "in" / "people.csv")
    tagged(workspace, "people")
    backup = str(tmp_path / "backups")
    create_backup(workspace, backup)
    table.tag("first")
    like = (
        people()
        .head(20)
        .with_columns(name=pl.lit("Like"), pid=pl.lit(WHO) + pl.int_range(20).cast(pl.String))
    )
    table = table.append(like)
    table = table.upsert(people().slice(17, 1).with_columns(age=pl.lit(55)), on="pid")
    table.branch("cleaning")
    open_dataset("people#cleaning", workspace).append(people().slice(17, 1))
    table = table.compact()
    sql("select name, age, ill from people", workspace=workspace).save("derived")
    sql("select age, pressure from people", workspace=workspace).save("bare")
    sql("select pid, age from people", workspace=workspace).save("copied")
    sql("select ill, avg(age) as age from people group by ill", workspace=workspace).save("sums")
    folder = tmp_path / "scans"
    for number, who in enumerate([OTHER, WHO, OTHER]):
        scan = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        scan.PatientID, scan.PatientName = who, NAME if who == WHO else "Nobody"
        scan.SOPInstanceUID = f"1.2.3.{number}"
        scan.SeriesInstanceUID = f"1.2.3.9{number}"
        scan.StudyInstanceUID = f"1.2.3.8{number}"
        (folder / who).mkdir(parents=True, exist_ok=True)
        scan.save_as(folder / who / f"{number}.dcm")
    read_images(folder, name="scans", workspace=workspace)
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / f"{WHO}.txt").write_text("a letter that does not say of whom it is")
    (letters / "b.txt").write_bytes(gzip.compress(f"Dear {NAME}, ...".encode()))
    (letters / "c.txt").write_text("about nobody")
    import_documents(letters, name="letters", workspace=workspace)
    train_classifier(table[["age", "pressure", "ill"]], target="ill", name="forest", n_estimators=5)
    train_classifier(table[["age", "pressure", "ill"]], target="ill", name="near", model_type="knn")
    train_classifier(people().drop("pid", "name", "note").tail(80), target="ill", name="apart",
                     model_type="naive bayes")  # fmt: skip
    create_backup(workspace, backup)
    return {"backup": backup}


def test_nothing_is_left(workspace: Workspace, planted: dict[str, Any], tmp_path: Path) -> None:
    secrets = [word.encode() for word in (WHO + '"', WHO + ",", NAME)]
    before = everything(workspace)
    assert all(word in before for word in (WHO.encode(), NAME.encode()))
    old = tmp_path / "metadata-before.db"
    shutil.copy(workspace.home / "metadata.db", old)
    with workspace.database.read() as connection:
        sealed = connection.execute(sa.select(objects)).all()
    report, envelope = erase_subject(workspace, [WHO, NAME], keep=["sums"])
    assert report.left == ()
    assert report.complete
    after = everything(workspace)
    for word in (*secrets, WHO.lower().encode()):
        assert word not in after
    # What is sealed under keys that the old database still has is not there to be opened.
    living = {pack.name: pack.size for pack in workspace.objects.backend.packs()}
    kept = set()
    with workspace.database.read() as connection:
        kept = set(connection.scalars(sa.select(objects.c.address)))
    for row in sealed:
        if row.address not in kept:
            assert row.pack not in living
    assert not [*workspace.verify()]
    # The others are as they were.
    table = open_dataset("people", workspace)
    assert isinstance(table, Table)
    rest = table.to_polars()
    assert rest.height == 319
    assert set(rest["pid"]) == set(people()["pid"]) - {WHO} | {f"{WHO}{n}" for n in range(20)}
    assert report.rows["people"] == 1
    assert rest["note"].sort(descending=False)[0] == "seen with [erased], well"
    assert open_dataset("people#cleaning", workspace).to_polars().height == 319
    assert len(open_dataset("sums", workspace).to_polars()) == 2
    assert open_dataset("derived", workspace).to_polars().height == 319
    assert open_dataset("bare", workspace).to_polars().is_empty()
    assert report.emptied == ("bare",)
    assert open_dataset("copied", workspace).to_polars().height == 319
    images = open_dataset("scans", workspace)
    assert len(images) == 2
    assert {entry.meta.patient for entry in images.entries} == {OTHER}
    assert images.to_numpy().shape[0] == 2
    with pytest.raises(NotFound):
        open_dataset("people@first", workspace)
    letters = open_dataset("letters", workspace)
    assert [document.path for document in letters] == ["c.txt"]
    assert letters[0].text() == "about nobody"
    assert b"a letter that does not say" not in after
    with pytest.raises(NotFound, match="erased"):
        open_dataset("scans:1", workspace)
    # Models that learned from it are named; those that keep rows are gone.
    by_name = {model.name: model for model in models(workspace=workspace)}
    assert report.stale_models == ("forest:1",)
    assert report.withdrawn_models == ("near:1",)
    assert touched_by_erasure(workspace)[by_name["forest"].node.id] == "stale"
    # The backup, restored, knows as little; the older ones are gone.
    (info,) = list_backups(planted["backup"], workspace.id)
    assert not [*verify_backup(workspace, planted["backup"], info.id)]
    restored = restore_backup(
        planted["backup"], tmp_path / "restored", key_file=workspace.home / "keys.json"
    )
    copy = everything(restored)
    for word in (*secrets, WHO.lower().encode()):
        assert word not in copy
    restored.close()
    # The report is signed and says nothing of who it was.
    assert read_report(workspace, envelope) == report
    assert WHO.encode() not in envelope
    with pytest.raises(Corrupt):
        read_report(workspace, envelope[:-20] + envelope[-20:].replace(b"A", b"B").swapcase())


def test_names_and_what_learned_word_by_word(workspace: Workspace, tmp_path: Path) -> None:
    """One-hot columns, vocabularies, categories, encodings, queries, names of tables and tags."""
    rows = people(80).with_columns(
        town=pl.when(pl.col("pid") == WHO).then(pl.lit(NAME)).otherwise(pl.lit("Kyiv")),
        note=pl.when(pl.col("pid") == WHO).then(pl.lit(f"saw {NAME}")).otherwise(pl.lit("saw it")),
    )
    table = read_table(rows, name="people")
    tagged(workspace, "people")
    ordinal = Recipe.of(Ordinal(columns=("town",))).fit(table)
    target = Recipe.of(TargetEncode(columns=("pid",), target="ill")).fit(table)
    save_recipe("codes", ordinal, trained_on=table)
    save_recipe("means", target)
    run_recipe(Recipe.of(OneHot(columns=("town",))), table, "hot")
    run_recipe(Recipe.of(Tfidf(column="note")), table, "words")
    sql(f"select * from people where pid = '{WHO}'", workspace=workspace).save("theirs")
    sql(f'select age as "{WHO}", ill from people', workspace=workspace).save("crossed")
    category = pl.Enum(["Kyiv", NAME])
    read_table(rows.select("pid", pl.col("town").cast(category)), name="towns").tag(f"v-{WHO}")
    read_table(rows.head(20), name=f"visits-{WHO}")
    for kind in ("logistic regression", "naive bayes"):
        train_classifier(table[["note", "town", "ill"]], target="ill", model_type=kind, name="m")
    create_backup(workspace, str(tmp_path / "backups"))
    report, envelope = erase_subject(workspace, [WHO, NAME])
    assert report.left == ()
    assert report.complete
    assert report.remade == ("crossed", "hot", "towns", "visits-[erased]", "words")
    after = everything(workspace)
    with workspace.database.read() as connection:
        for row in connection.execute(sa.select(nodes)):
            after += base64.b64decode(read_node(workspace.keys, row).facts.get("types", ""))
    for word in (WHO, NAME, *NAME.split()):
        assert word.casefold().encode() not in after.lower() + envelope.lower()
    # What is not theirs still is there.
    shown = {name: open_dataset(name, workspace).to_polars() for name in ("hot", "words", "towns")}
    assert {name: frame.height for name, frame in shown.items()} == dict.fromkeys(shown, 79)
    assert [c for c in shown["hot"].columns if "=" in c] == ["town=Kyiv"]
    assert {"note:saw", "note:it"} <= {*shown["words"].columns}
    assert shown["towns"]["town"].dtype == pl.Enum(["Kyiv"])
    assert open_dataset("crossed", workspace).to_polars().columns == ["ill"]
    assert len(open_dataset("theirs", workspace).to_polars()) == 0
    with pytest.raises(NotFound, match="fit it again"):
        open_recipe("codes", workspace)
    assert not [*workspace.verify()]
    again, _ = erase_subject(workspace, [WHO, NAME])
    assert again.complete
    assert again.remade == ()


def test_an_interrupted_erasure_is_finished_by_the_next(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_table(people(), name="people")
    tagged(workspace, "people")
    train_classifier(table[["age", "ill"]], target="ill", name="forest", n_estimators=3)
    sql("select age, ill from people", workspace=workspace).save("bare")

    def fails(_: Workspace) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr("lepton_ai.data.erase.erase.forget_snapshots", fails)
        with pytest.raises(TypeError):
            erase_subject(workspace, [WHO])
    with monkeypatch.context() as patched:
        patched.setattr("lepton_ai.data.erase.erase.sweep", fails)
        with pytest.raises(OSError, match="power"):
            erase_subject(workspace, [WHO])
    # By now no row tells that the model had anything to do with it.
    report, _ = erase_subject(workspace, [WHO])
    assert report.complete
    assert report.stale_models == ("forest:1",)
    assert WHO.encode() not in everything(workspace)
    again, _ = erase_subject(workspace, [WHO])
    assert again.complete
    assert again.stale_models == ()
    assert not [*workspace.verify()]


def test_short_ids_plain_tables_and_the_quarantine(workspace: Workspace, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [7, 8, 70], "x": [1.5, 2.5, 3.5], "day": [date(2026, 1, 1)] * 3})
    path = tmp_path / "short.csv"
    frame.write_csv(path)
    source = read_table(path, name="short")
    store_table(workspace, "plain", [frame], encrypted=False)
    set_rules(workspace, "short", [Range(column="x", low=0)])
    source.append(pl.DataFrame({"id": [7], "x": [-1.0], "day": [date(2026, 1, 2)]}))
    kept = quarantine("short", workspace)
    assert kept is not None
    assert len(kept) == 1
    found = find(workspace, Subject(["7"]), columns=["id"])
    assert {table.name for table in found.tables} == {"short", "plain", "short.quarantine"}
    report, _ = erase_subject(workspace, ["7"], columns=["id"])
    assert report.complete
    assert report.sources == 1
    for name, ids in (("short", [8, 70]), ("plain", [8, 70]), ("short.quarantine", [])):
        table = open_dataset(name, workspace)
        assert isinstance(table, Table)
        assert table.to_polars()["id"].to_list() == ids
    for file in (workspace.home / "tables").rglob("*.parquet"):
        assert 7 not in pl.read_parquet(file)["id"].to_list()
    # The same file may come again, and is kept again.
    with pytest.warns(ErasedFile, match="1 of these files were erased with a person"):
        again = read_table(path, name="short")
    assert len(again) == 3
    workspace.objects.collect(timedelta(0))
    (file,) = (n for role, n in workspace.lineage.parents(again.dataset.id) if role == "source")
    assert workspace.objects.get(str(file.digest)) == path.read_bytes()
    assert not [*workspace.verify()]


def test_a_number_goes_from_untagged_tables_of_numbers(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.csv"
    pl.DataFrame({"mrn": range(7731004000, 7731004300), "age": [50] * 300}).write_csv(path)
    read_table(path)
    report, _ = erase_subject(workspace, ["7731004201"])
    assert report.rows == {"numbers": 1}
    assert report.sources == 1
    assert report.complete
    kept = open_dataset("numbers", workspace).to_polars()
    assert len(kept) == 299
    assert 7731004201 not in kept["mrn"].to_list()
    assert b"7731004201" not in everything(workspace)


def test_a_number_goes_however_it_is_spelled(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("id,size\n2019,1.5\n7,2019.25\n")
    read_table(path)
    report, _ = erase_subject(workspace, ["2019.0"], columns=["id"])
    assert report.rows == {"numbers": 1}
    assert report.sources == 1
    assert report.complete


def test_escapes_and_older_encodings_are_seen_through(workspace: Workspace, tmp_path: Path) -> None:
    name, other = "Zdeněk Wrześniewski", "Тарасенко"
    rows = [json.dumps({"who": who, "v": 1}) for who in (name, "Bob", "Eve")]
    assert name not in rows[0]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    read_table(tmp_path / "rows.jsonl")
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, who in enumerate([other, "Nobody"]):
        scan = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        scan.SpecificCharacterSet, scan.PatientName = "ISO_IR 144", who
        scan.PatientID, scan.SOPInstanceUID = f"X{number}", f"1.2.{number}"
        scan.SeriesInstanceUID = f"1.3.{number}"
        scan.save_as(folder / f"{number}.dcm")
    read_images(folder, name="scans", workspace=workspace)
    report, _ = erase_subject(workspace, [name, other])
    assert report.complete
    assert report.images == {"scans": 1}
    (folder / "0.dcm").rename(tmp_path / "0.dcm")
    assert len(read_images(folder, name="scans", workspace=workspace)) == 1
    (tmp_path / "0.dcm").rename(folder / "renamed.dcm")
    with pytest.warns(ErasedFile, match="1 of these files"):
        read_images(folder, name="scans", workspace=workspace)
    assert erase_subject(workspace, [name, other])[0].complete
    left = everything(workspace)
    for what in (name.encode(), json.dumps(name)[1:-1].encode(), other.encode("iso8859_5")):
        assert what not in left


def plant_documents(folder: Path, who: str) -> set[str]:
    """Write documents of a person and of nobody; return the names of the person's."""
    made: dict[str, Callable[[str], bytes]] = {
        **{f"{place}.pdf": make for place, make in papers.PLACES.items()},
        "one.eml": lambda who: mail(papers.letter(who)).as_bytes(),
        "many.mbox": lambda who: b"\n".join(
            b"From a@b.c Thu Jan  1 00:00:01 2026\n" + one.as_bytes()
            for one in (mail(), mail(papers.letter(who)), mail())
        ),
        "Maildir/cur/1767225601.M1P1.host:2,S": lambda who: mail(text=f"of {who}").as_bytes(),
        "report.docx": lambda who: zipped(
            "word/document.xml",
            f"<?xml version='1.0'?><p><t>{who[:4]}</t><t>{who[4:]}</t></p>".encode(),
        ),
    }
    for name, make in made.items():
        for path, named in ((folder / "theirs" / name, who), (folder / "others" / name, "ANNA-12")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make(named))
    return {f"theirs/{name}" for name in made}


def contents_of(workspace: Workspace) -> set[str]:
    """Return the digest of everything that is stored, decrypted."""
    with workspace.database.read() as connection:
        addresses = [*connection.scalars(sa.select(objects.c.address))]
    return {sha256(workspace.objects.get(address)).hexdigest() for address in addresses}


def test_nothing_is_left_in_documents_that_hide_it(workspace: Workspace, tmp_path: Path) -> None:
    folder, backup = tmp_path / "letters", str(tmp_path / "backups")
    theirs = plant_documents(folder, WHO)
    files = {str(f.relative_to(folder)): f for f in folder.rglob("*") if f.is_file()}
    digests = {name: sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    import_documents(folder, name="letters", workspace=workspace)
    create_backup(workspace, backup)
    assert {*digests.values()} <= contents_of(workspace)
    report, _ = erase_subject(workspace, [WHO])
    assert report.complete
    assert report.rows == {"letters": len(theirs)}
    assert set(open_dataset("letters", workspace).paths) == files.keys() - theirs
    keys = workspace.home / "keys.json"
    restored = restore_backup(backup, tmp_path / "restored", key_file=keys)
    for place in (workspace, restored):
        gone = {name for name, digest in digests.items() if digest not in contents_of(place)}
        assert gone == theirs
    restored.close()


def test_documents_that_cannot_be_searched_keep_an_erasure_open(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(papers.encrypted(WHO, "secret"))
    (folder / f"of {NAME}.txt").write_text("well")
    (folder / "scan.pdf").write_bytes(papers.scan())
    import_documents(folder, name="letters", workspace=workspace)
    report, _ = erase_subject(workspace, [WHO, NAME])
    assert report.left == ()
    assert report.not_searched == ("letters: a.pdf: it is encrypted",)
    assert report.without_text == {"letters": 1}
    assert not report.complete
    # Whoever can read it says that it is not theirs; or it goes.
    report, _ = erase_subject(workspace, [WHO, NAME], keep=["letters"])
    assert report.complete
    assert report.kept == ("letters",)
    letters = open_dataset("letters", workspace)
    assert letters.paths == ["a.pdf", "scan.pdf"]
    stored = contents_of(workspace)
    letters.delete("path = 'a.pdf'").expire(keep=1)
    digest = sha256((folder / "a.pdf").read_bytes()).hexdigest()
    assert digest in stored
    report, _ = erase_subject(workspace, [WHO, NAME])
    assert (report.not_searched, report.without_text) == ((), {"letters": 1})
    assert stored - contents_of(workspace) >= {digest}


def test_whatever_cannot_be_searched_is_told(workspace: Workspace, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.xlsx"
    sheet.write_bytes(excel(["pid"], ["P-1"]))
    with zipfile.ZipFile(sheet, "a") as archive:
        archive.writestr("xl/embeddings/ole.bin", b"\xd0\xcf\x11\xe0")
    read_table(sheet)
    scans = tmp_path / "scans"
    write_phantoms(scans, count=2)
    picture = next(scans.rglob("*.dcm"))
    picture.write_bytes(picture.read_bytes() + papers.encrypted(WHO, "secret"))
    read_images(scans)
    note = workspace.home / "note.zip"
    note.write_bytes(zipped("a", b"well")[:-9])
    report, _ = erase_subject(workspace, [WHO])
    assert report.not_searched == (
        f"{sheet}: an old or encrypted Office file is not looked into",
        f"scans: {picture}: it is encrypted",
        f"file {note}: damaged, or not what it begins like; move or delete it",
    )
    assert not report.complete
    note.unlink()
    report, _ = erase_subject(workspace, [WHO], keep=["scans", str(sheet)])
    assert report.complete


def test_files_in_the_workspace_are_deleted_or_named(workspace: Workspace) -> None:
    ours = workspace.home / "demo" / "phantoms" / "clear" / "phantom-0000.dcm"
    write_phantoms(ours.parents[1], count=4)
    own = workspace.home / "notes.txt"
    own.write_text("of GENERATED-0000")
    report, _ = erase_subject(workspace, ["GENERATED-0000"])
    assert report.left == (f"file {own}: delete it, then ask again",)
    assert report.sources == 2
    assert not ours.exists()
    assert len([*ours.parents[1].rglob("*.dcm")]) == 2
    own.unlink()
    report, _ = erase_subject(workspace, ["GENERATED-0000"])
    assert report.complete


def test_only_who_administers_may_erase(workspace: Workspace) -> None:
    with acting_as("guest"), pytest.raises(AccessDenied):
        erase_subject(workspace, [WHO])
    with pytest.raises(InvalidInput):
        erase_subject(workspace, [])
