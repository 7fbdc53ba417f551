"""Near duplicates: rows whose text is nearly the same, such as names with typing errors."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like, opened
from lepton_ai.data.recipes.step import Frame, Step, present, textual

__all__ = ["FuzzyDuplicates"]


class FuzzyDuplicates(Step, frozen=True, kw_only=True, tag="fuzzy_duplicates"):
    """Keep the first of rows whose text is nearly the same; `pairs` shows which they are.

    Rows are compared within blocks only, by the Jaro-Winkler similarity (Winkler 1990) of the
    text in small letters and single blanks. Rows without text stay. Computed in memory.

    Attributes:
        column: the text that is compared.
        within: columns that must be equal, so that not all pairs are compared.
        similarity: 0 to 1; from this on, two are the same.
        order: columns that say which row is first; as they come unless given.
    """

    rows: ClassVar[bool] = True
    column: str
    within: tuple[str, ...] = ()
    similarity: float = 0.92
    order: tuple[str, ...] = ()

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without near duplicates; the first of each set stays."""
        import polars as pl

        whole = self._whole(frame)
        keep = [True] * whole.height
        for _, place, _ in self._found(whole):
            keep[place] = False
        return like(frame, whole.filter(pl.Series(keep, dtype=pl.Boolean)))

    def pairs(self, data: Any) -> Any:
        """Return near duplicates as a Polars frame: what is kept, what goes, their similarity.

        Args:
            data: as `Recipe.fit` takes it.
        """
        import polars as pl

        frame, _, _ = opened(data)
        whole = self._whole(frame)
        found = [*self._found(whole)]
        kept, gone = [pair[0] for pair in found], [pair[1] for pair in found]
        text = whole[self.column]
        return pl.DataFrame(
            {
                **{name: whole[name].gather(gone) for name in self.within},
                "kept": text.gather(kept),
                "dropped": text.gather(gone),
                "similarity": [pair[2] for pair in found],
            },
            schema_overrides={"similarity": pl.Float64},
        )

    def _whole(self, frame: Frame) -> Any:
        if not 0 < self.similarity <= 1:
            raise InvalidInput(f"similarity lies between 0 and 1; got {self.similarity}")
        present(frame, [*self.within, *self.order], "FuzzyDuplicates")
        textual(frame, [self.column], "FuzzyDuplicates")
        whole = frame.collect("polars").to_native()
        return whole.sort(self.order, maintain_order=True) if self.order else whole

    def _found(self, whole: Any) -> Iterator[tuple[int, int, float]]:
        """Yield the place of a row, that of one like it, and how alike they are."""
        from rapidfuzz import process
        from rapidfuzz.distance import JaroWinkler

        places = whole.select(*self.within, self.column).with_row_index("_lepton_place")
        blocks = (
            places.group_by(self.within, maintain_order=True) if self.within else [((), places)]
        )
        for _, block in blocks:
            texts: list[str] = []
            kept: list[int] = []
            for place, text in block.select("_lepton_place", self.column).rows():
                plain = " ".join((text or "").casefold().split())
                if not plain:
                    continue
                best = process.extractOne(
                    plain, texts, scorer=JaroWinkler.similarity, score_cutoff=self.similarity
                )
                if best is None:
                    texts.append(plain)
                    kept.append(place)
                else:
                    yield kept[best[2]], place, best[1]

    def writes(self) -> set[str]:
        """Return no column."""
        return set()

    def explain(self) -> str:
        """Return a sentence on the step."""
        within = f" within {', '.join(self.within)}" if self.within else ""
        return f"keep one of rows whose {self.column} is alike from {self.similarity} on{within}"
