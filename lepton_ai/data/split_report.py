"""SplitReport: what a split did, so that a person can judge whether it is honest."""

from msgspec import Struct

__all__ = ["NearDuplicate", "SplitReport"]


class NearDuplicate(Struct, frozen=True):
    """Two images that look alike, one on each side: perhaps one picture, saved twice."""

    train: str
    test: str
    correlation: float


class SplitReport(Struct, frozen=True):
    """How a data set was parted.

    Attributes:
        train: how many items the training side has.
        test: how many the test side has.
        wanted: how many the test side was to have.
        seed: what the choice was drawn from.
        grouped_by: what was kept together: ``patient``, a column's name, or None.
        groups: how many groups there are, after those that share a duplicate were joined.
        ordered_by: the column whose latest rows are the test side, None where chance parts them.
        classes: for each class, how many items training and test have; empty if not stratified.
        duplicates: items that are exactly equal, and so were kept on one side, by id or row.
        near_duplicates: images that look alike across the two sides; for a person to judge.
        notes: what else to know, in words.
    """

    train: int
    test: int
    wanted: int
    seed: int
    grouped_by: str | None
    groups: int
    ordered_by: str | None = None
    classes: dict[str, tuple[int, int]] = {}
    duplicates: tuple[tuple[str, ...], ...] = ()
    near_duplicates: tuple[NearDuplicate, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = f", whole groups by {self.grouped_by}" if self.grouped_by else ""
        how = f"seed {self.seed}" if self.ordered_by is None else f"the latest by {self.ordered_by}"
        lines = [f"{self.train} for training, {self.test} for test ({how}{kept})"]
        lines += [f"  {name}: {train} and {test}" for name, (train, test) in self.classes.items()]
        if self.duplicates:
            lines.append(f"  {len(self.duplicates)} set(s) of exact duplicates, each on one side")
        lines += [
            f"  look alike: {pair.train} (training) and {pair.test} (test), correlation "
            f"{pair.correlation:.3f}"
            for pair in self.near_duplicates
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])
