"""Text: sentences become vectors, by word weights or by their latent meaning."""

from typing import Any, ClassVar, Self

import msgspec
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like
from lepton_ai.data.recipes.step import Frame, Step, textual

__all__ = ["Embed", "Tfidf"]


class Tfidf(Step, frozen=True, kw_only=True, tag="tfidf"):
    """Replace text by the weights of its words, one column a word.

    Term frequency times inverse document frequency, smoothed, each row of length 1, as
    scikit-learn's TfidfVectorizer computes it.

    Attributes:
        most: how many words, the most frequent ones.
        words: learned, with their inverse document frequency.
    """

    learns: ClassVar[bool] = True
    plans: ClassVar[bool] = False
    column: str
    most: int = 100
    words: dict[str, float] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn the words."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = _texts(frame, self.column)
        fitted = TfidfVectorizer(max_features=self.most)
        try:
            fitted.fit(texts)
        except ValueError as error:
            raise InvalidInput(f"column {self.column!r} holds no words to learn") from error
        names = fitted.get_feature_names_out().tolist()
        return msgspec.structs.replace(
            self, words=dict(zip(names, fitted.idf_.tolist(), strict=True))
        )

    def vectors(self, frame: Frame) -> Any:
        """Return the weights, a sparse matrix (rows, words) of float64."""
        import numpy as np
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = _texts(frame, self.column)
        if not texts:
            return csr_array((0, len(self.words)))
        reader = TfidfVectorizer(vocabulary={word: n for n, word in enumerate(self.words)})
        reader.idf_ = np.array([*self.words.values()])
        return reader.transform(texts)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with a column ``<column>:<word>`` for each word."""
        names = [f"{self.column}:{word}" for word in self.words]
        return _with_columns(frame, self.column, names, self.vectors(frame).toarray())

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"weights of {len(self.words) or self.most} words of {self.column}"


class Embed(Step, frozen=True, kw_only=True, tag="embed"):
    """Replace text by its latent meaning: few numbers, alike for texts that are about the same.

    Deerwester et al., "Indexing by Latent Semantic Analysis", JASIS 41 (1990): the leading
    singular vectors of the word weights of `Tfidf`. Learned here, on these texts; nothing is
    downloaded.

    Attributes:
        size: how many numbers.
        components: learned, (size, words), row by row.
    """

    learns: ClassVar[bool] = True
    plans: ClassVar[bool] = False
    column: str
    size: int = 16
    most: int = 5000
    weights: Tfidf | None = None
    components: tuple[tuple[float, ...], ...] = ()

    def fit(self, frame: Frame) -> Self:
        """Learn words and components."""
        import numpy as np
        from scipy.sparse.linalg import svds

        weights = Tfidf(column=self.column, most=self.most).fit(frame)
        matrix = weights.vectors(frame)
        size = min(self.size, min(matrix.shape) - 1)
        if size < 1:
            raise InvalidInput(f"column {self.column!r} holds too few words for an embedding")
        _, strength, right = svds(matrix, k=size, random_state=0)
        right = right[np.argsort(-strength)]
        # A sign that does not depend on the machine.
        largest = right[np.arange(size), np.abs(right).argmax(axis=1)]
        right = right * np.where(largest < 0, -1.0, 1.0)[:, None]
        components = tuple(tuple(row) for row in right.tolist())
        return msgspec.structs.replace(self, weights=weights, components=components)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with columns ``<column>~1``, ``<column>~2`` and so on."""
        import numpy as np

        assert self.weights is not None
        values = self.weights.vectors(frame) @ np.array(self.components).T
        names = [f"{self.column}~{number}" for number in range(1, len(self.components) + 1)]
        return _with_columns(frame, self.column, names, np.asarray(values))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{len(self.components) or self.size} numbers for the meaning of {self.column}"


def _texts(frame: Frame, column: str) -> list[str]:
    textual(frame, [column], "a step on text")
    values = frame.select(column).collect("polars")[column].to_list()
    return [value or "" for value in values]


def _with_columns(frame: Frame, column: str, names: list[str], values: Any) -> Frame:
    import polars as pl

    there = set(frame.collect_schema().names()) - {column}
    twice = [name for name in names if name in there]
    if twice:
        raise InvalidInput(f"there are columns {twice} already; rename them first")
    whole = frame.collect("polars").to_native().drop(column)
    if not names:
        return like(frame, whole)
    return like(frame, whole.hstack(pl.DataFrame(values, schema=names)))
