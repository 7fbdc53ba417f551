"""Where the columns of a query come from; DuckDB says which columns there are."""

import duckdb
import pytest

from lepton_ai.data.origins import origins

SOURCES = {
    ("people",): ["id", "name", "age", "City"],
    ("hospital", "visits"): ["id", "mean radius"],
    ("people:3",): ["id", "age"],
}
ALL = "all"


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE people (id INT, name TEXT, age INT, City TEXT)")
    connection.execute("CREATE SCHEMA hospital")
    connection.execute('CREATE TABLE hospital.visits (id INT, "mean radius" DOUBLE)')
    connection.execute('CREATE TABLE "people:3" (id INT, age INT)')
    return connection


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT id, name AS who, age * 1 AS years FROM people", ["id", "name", "age"]),
        ("SELECT id AS name FROM people", ["id"]),
        ("SELECT CITY FROM people", ["City"]),
        ("FROM people SELECT name", ["name"]),
        ("SELECT * EXCLUDE (age) FROM people", ["id", "name", "City"]),
        ("SELECT * REPLACE (upper(name) AS id) FROM people", ["name", "name", "age", "City"]),
        ("SELECT count(*), avg(age), city FROM people GROUP BY city", ["", "age", "City"]),
        ("SELECT count(*) FROM people WHERE name = 'Ada'", [""]),
        ("SELECT name n, n || 'x' AS m FROM people", ["name", "name"]),
        ("WITH x AS (FROM people) SELECT a.name || 'x' AS z FROM x a, x b", ["name"]),
        ("WITH t(a) AS (SELECT name FROM people) SELECT a FROM t", ["name"]),
        ("SELECT a FROM (SELECT name FROM people) t(a)", ["name"]),
        ("SELECT s.a FROM (SELECT {'a': name} AS s FROM people)", ["name"]),
        ("SELECT age.x FROM (SELECT {'x': name} AS age FROM people)", ["name"]),
        ("SELECT (SELECT max(name) FROM people) AS m, 1 AS one", ["name", ""]),
        ("SELECT u FROM people, unnest([name]) t(u)", ["name"]),
        ("SELECT q.a FROM people, LATERAL (SELECT name AS a) q", ["name"]),
        ("SELECT list_transform([name], lambda y: y || id) AS l FROM people", ["id name"]),
        ("SELECT name FROM people UNION ALL SELECT cast(age AS TEXT) FROM people", ["age name"]),
        ("SELECT row_number() OVER (ORDER BY name) AS r FROM people", ["name"]),
        ('SELECT v.* FROM hospital.visits v', ["id", "mean radius"]),
        ('SELECT hospital.visits."mean radius" AS r FROM hospital.visits', ["mean radius"]),
        # What is not sure comes from all there is.
        ("SELECT people FROM people", [ALL]),
        ("SELECT p FROM people p", [ALL]),
        ("SELECT to_json(p) FROM people p", [ALL]),
        ("SELECT (p).name FROM people p", [ALL]),
        ("SELECT #2 FROM people", [ALL]),
        ("SELECT columns('n.*') FROM people", [ALL]),
        ("SELECT id, name AS id FROM people", [ALL, ALL]),
        ("PIVOT people ON city USING sum(age)", [ALL, ALL]),
        ("EXPLAIN SELECT name FROM people", [ALL, ALL]),
        ("WITH source_0 AS (SELECT 1 AS id, 'x' AS name) SELECT name FROM people", [ALL]),
        ('SELECT a.id FROM (WITH People AS (SELECT age AS id FROM "people:3") FROM people) a, '
         "people", [ALL]),
        ("SELECT max(age) OVER w AS m FROM people WINDOW w AS (ORDER BY id)", ["age"]),
    ],
)  # fmt: skip
def test_columns_are_followed(
    engine: duckdb.DuckDBPyConnection, query: str, expected: list[str]
) -> None:
    answer = engine.sql(query).columns
    columns = [f"{name}_{place}" if name in answer[:place] else name
               for place, name in enumerate(answer)]  # fmt: skip
    found = origins(query, columns, SOURCES)
    shown = [
        ALL if of == SOURCES else " ".join(name for names in of.values() for name in names)
        for of in map(found.__getitem__, columns)
    ]
    assert shown == expected


def test_each_source_is_told_apart() -> None:
    query = 'SELECT a.name, b.age, id FROM people a JOIN "people:3" b USING (id)'
    assert origins(query, ["name", "age", "id"], SOURCES) == {
        "name": {("people",): ["name"]},
        "age": {("people:3",): ["age"]},
        "id": {("people",): ["id"], ("people:3",): ["id"]},
    }
