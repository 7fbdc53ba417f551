"""Normalisation: text and categories come to one form."""

import unicodedata
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.data.blanks import single
from lepton_ai.data.recipes.step import Frame, Step, grouped, present, textual, with_columns

__all__ = ["Rare", "Tidy"]


class Tidy(Step, frozen=True, kw_only=True, tag="tidy"):
    """Bring text to one form: characters, blanks, case, and words that mean the same.

    Attributes:
        columns: which; all columns of text unless named.
        unicode: ``NFKC`` writes characters that mean the same in one way (Unicode Annex 15), so
            that a ligature is two letters and a wide digit a digit; None leaves them.
        case: ``lower``, ``upper``, or None to leave it.
        synonyms: what is written, after the above, and what it means.
        empty: texts that mean nothing is known.
    """

    columns: tuple[str, ...] = ()
    unicode: Literal["NFC", "NFKC"] | None = None
    case: Literal["lower", "upper"] | None = None
    synonyms: dict[str, str] = field(default_factory=dict)
    empty: tuple[str, ...] = ("", "-", "?", "n/a", "N/A", "null", "NULL")

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with tidy text."""
        names = textual(frame, self.columns, "Tidy")
        if self.unicode is not None:
            frame = _normalised(frame, names, self.unicode)
        return with_columns(frame, *(self._tidied(name) for name in names))

    def _tidied(self, name: str) -> nw.Expr:
        column = single(nw.col(name))
        if self.case is not None:
            lower = self.case == "lower"
            column = column.str.to_lowercase() if lower else column.str.to_uppercase()
        for written, meant in self.synonyms.items():
            column = nw.when(column == written).then(nw.lit(meant)).otherwise(column)
        if self.empty:
            known = ~column.is_in(list(self.empty))
            column = nw.when(known).then(column)
        return column.alias(name)

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return set(self.columns) or None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes."""
        return set(self.columns) or None

    def explain(self) -> str:
        """Return a sentence on the step."""
        done = [
            *([self.unicode] if self.unicode else []),
            "blanks",
            *([f"{self.case} case"] if self.case else []),
            *(f"{old!r} is {new!r}" for old, new in self.synonyms.items()),
        ]
        return f"tidy {', '.join(self.columns) or 'all text'}: {', '.join(done)}"


def _normalised(frame: Frame, names: list[str], form: Literal["NFC", "NFKC"]) -> Frame:
    if frame.implementation.is_polars():
        import polars as pl

        native: Any = frame.to_native()
        done: Frame = nw.from_native(
            native.with_columns(pl.col(name).str.normalize(form) for name in names)
        )
        return done
    # Other engines have no such function: the few texts that it would change are looked up.
    for name in names:
        odd = frame.filter(nw.col(name).str.contains(r"[^\x00-\x7F]")).select(name).unique()
        texts: list[str] = odd.collect("polars")[name].to_list()
        changed = {text: unicodedata.normalize(form, text) for text in texts}
        changed = {text: new for text, new in changed.items() if text != new}
        if changed:
            looked = nw.col(name).replace_strict(
                list(changed), list(changed.values()), default=None, return_dtype=nw.String
            )
            frame = with_columns(frame, nw.coalesce(looked, nw.col(name)).alias(name))
    return frame


class Rare(Step, frozen=True, kw_only=True, tag="rare"):
    """Put categories that are rare in training, or new later, under one name.

    Attributes:
        share: of the rows; what is below is rare.
        kept: the categories that stay, learned, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    share: float = 0.01
    other: str = "other"
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn which categories stay."""
        kept = {}
        for name in textual(frame, self.columns, "Rare"):
            counted = grouped(frame, [name], [nw.len().alias("_lepton_count")])
            counts = counted.collect("polars")
            known = counts.filter(~nw.col(name).is_null())
            total = sum(known["_lepton_count"].to_list())
            pairs = zip(known[name].to_list(), known["_lepton_count"].to_list(), strict=True)
            kept[name] = tuple(sorted(text for text, n in pairs if n >= self.share * total))
        return msgspec.structs.replace(self, kept=kept)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with rare categories under one name."""
        present(frame, list(self.kept), "Rare")
        columns = []
        for name, kept in self.kept.items():
            column = nw.col(name)
            stays = column.is_in([*kept]) | column.is_null()
            columns.append(nw.when(stays).then(column).otherwise(nw.lit(self.other)).alias(name))
        return with_columns(frame, *columns)

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return set(self.columns) | set(self.kept) or None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes."""
        return self.reads()

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(f"{name} keeps {len(kept)}" for name, kept in self.kept.items())
        what = learned or ", ".join(self.columns) or "all text"
        return f"categories rarer than {self.share:.1%} become {self.other!r}: {what}"
