"""Detect: which columns hold personal data, and where in free text it stands."""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl
from msgspec import Struct, structs

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.frames import frame_of
from lepton_ai.data.privacy.kinds import KINDS, PERSON_IN_TEXT, Kind, kind_of_name
from lepton_ai.data.table import Table

__all__ = ["PersonalColumn", "Span", "find_personal", "personal_in", "redact", "tag_personal"]

_SAMPLE = 5000
# Of a column's values that are of one kind; a phone number or two among notes is free text.
_MOST, _SOME = 0.6, 0.01
_PROSE = 4  # words in a value, on average


class Span(Struct, frozen=True):
    """A piece of text that tells of a person.

    Attributes:
        kind: such as ``e-mail`` or ``name``.
        start: of its first character; ``end`` is behind its last.
        certain: whether a checksum or an unmistakable form proves it.
    """

    kind: str
    start: int
    end: int
    certain: bool


class PersonalColumn(Struct, frozen=True):
    """A column that holds personal data, and how that is known.

    Attributes:
        column: its name.
        kind: what it holds; of free text, the commonest.
        tag: ``personal``, ``sensitive``, or ``quasi`` for what tells a person together with others.
        share: of the values looked at that are of this kind, 0 to 1; None where the name tells.
        confidence: ``certain``, ``likely`` or ``possible``.
        evidence: one sentence, with no value in it.
        looked_at: how many values.
    """

    column: str
    kind: str
    tag: str
    share: float | None
    confidence: str
    evidence: str
    looked_at: int


def find_personal(data: Any, *, sample: int = _SAMPLE) -> list[PersonalColumn]:
    """Say which columns of a table or frame hold personal data.

    Values are looked at by their form and checksum, free text for what stands in it, and names of
    columns in several languages for what no value tells. No value is quoted.

    Args:
        sample: how many values of a column to look at, spread evenly over its rows.

    Raises:
        MissingExtra: the extra ``privacy`` is not installed.
        InvalidInput: ``sample`` is less than 1.
    """
    if sample < 1:
        raise InvalidInput(f"sample must be at least 1; got {sample}")
    whole = data.to_polars() if isinstance(data, Table) else frame_of(data)
    found = []
    for column in whole.get_columns():
        values = column.drop_nulls()
        if len(values) > sample:
            values = values.gather_every(max(1, len(values) // sample)).head(sample)
        one = _by_values(column.name, values) or _by_name(column.name, values)
        if one is not None:
            found.append(one)
    return found


def tag_personal(table: Table, found: list[PersonalColumn]) -> None:
    """Write what was found into the catalog, so that access is decided by it from now on.

    Quasi-identifiers get the tag ``quasi``, which hides them like any other tag.
    """

    def change(entry: Entry) -> Entry:
        columns = dict(entry.columns)
        for one in found:
            before = columns.get(one.column, ColumnEntry())
            tags = tuple(dict.fromkeys([*before.tags, one.tag]))
            columns[one.column] = structs.replace(before, tags=tags)
        return structs.replace(entry, columns=columns)

    change_entry(table.workspace, table.name, change)


def personal_in(text: str) -> list[Span]:
    """Return what in a text tells of a person, in order and without overlap.

    Names are found by their context (a title, a role) only; a name alone is not.
    """
    spans: list[Span] = []
    for kind in KINDS:
        for match in kind.pattern.finditer(text):
            if kind.proves(match.group()):
                spans.append(Span(kind.name, match.start(), match.end(), kind.proof))
    spans += [Span("name", *match.span(1), False) for match in PERSON_IN_TEXT.finditer(text)]
    return [*_apart(spans)]


def redact(text: str) -> str:
    """Return a text with `[kind]` in the place of what tells of a person."""
    done, end = [], 0
    for span in personal_in(text):
        done += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join([*done, text[end:]])


def _apart(spans: list[Span]) -> Iterator[Span]:
    """Yield spans that do not overlap: what is certain before what is long before what is first."""
    taken: list[Span] = []
    for span in sorted(spans, key=lambda s: (not s.certain, s.start - s.end, s.start)):
        if all(span.end <= other.start or span.start >= other.end for other in taken):
            taken.append(span)
    yield from sorted(taken, key=lambda s: s.start)


def _by_values(name: str, values: pl.Series) -> PersonalColumn | None:
    if values.dtype != pl.String or values.is_empty():
        # Numbers lose leading zeros and signs: only their column's name can tell.
        return None
    texts = values.str.strip_chars()
    count = len(texts)
    different = texts.unique().to_list()
    weights = dict(texts.value_counts().iter_rows())
    for kind in KINDS:
        share = sum(weights[text] for text in different if _is(kind, text)) / count
        if share >= _MOST:
            proved = kind.proof or (share > 0.95 and bool(kind.check) and len(different) > 10)
            return PersonalColumn(
                name, kind.name, kind.tag, share, "certain" if proved else "likely",
                f"{share:.0%} of {count} values are one by form"
                + (" and checksum" if kind.check else ""), count,
            )  # fmt: skip
    spaces = texts.str.count_matches(r"\s+").mean()
    if not isinstance(spaces, float) or spaces + 1 < _PROSE:
        return None
    kinds: dict[str, int] = {}
    rows = 0
    for text in different:
        inside = {span.kind for span in personal_in(text)}
        rows += weights[text] if inside else 0
        for kind_name in inside:
            kinds[kind_name] = kinds.get(kind_name, 0) + weights[text]
    if rows / count < _SOME:
        return None
    common = max(kinds, key=lambda one: (kinds[one], one))
    listed = ", ".join(f"{kind} in {hits}" for kind, hits in sorted(kinds.items()))
    return PersonalColumn(
        name, common, "personal", rows / count, "likely",
        f"free text: of {count} values, {listed}", count,
    )  # fmt: skip


def _is(kind: Kind, text: str) -> bool:
    return kind.pattern.fullmatch(text) is not None and kind.proves(text)


_LETTERS = re.compile(r"[^\W\d_]")


def _by_name(name: str, values: pl.Series) -> PersonalColumn | None:
    told = kind_of_name(name)
    if told is None or values.is_empty():
        return None
    kind, tag = told
    text = values.dtype == pl.String
    if kind in ("name", "address") and not (text and any(map(_LETTERS.search, values.to_list()))):
        return None
    if kind == "name" and values.n_unique() < min(20, len(values) / 10):
        # A few words again and again name kinds of things, not people.
        return None
    if kind == "date of birth" and not (text or values.dtype.is_temporal()):
        return None
    if kind == "identifier" and values.n_unique() < len(values) / 20:
        return None
    return PersonalColumn(
        name, kind, tag, None, "possible", f"a column called {name!r} usually holds it", len(values)
    )
