"""Origin: where a model that comes with the package was made, of what, how good it is, what for.

A leaf.
"""

from msgspec import Struct

__all__ = ["Origin"]


class Origin(Struct, frozen=True, kw_only=True):
    """What the card of a pre-trained model says beside the facts of its training.

    Attributes:
        title: what the model does, in a line.
        package: version of this package that made it.
        command: that makes it again.
        data: what it learned from, and what was kept back.
        sources: SHA-256 of each file of that data, by its path among the data sets.
        licence: of the data, as its publisher states it.
        attribution: whom to name.
        unconfirmed: what of licence or data could not be confirmed; empty where nothing.
        protocol: how the figures were measured.
        figures: measured on what the model never learned from, as text with units.
        use: what it is meant for.
        inputs: what it takes, with units.
        limits: what it is not good for.
    """

    title: str
    package: str
    command: str
    data: str
    sources: dict[str, str]
    licence: str
    attribution: str
    unconfirmed: str = ""
    protocol: str
    figures: dict[str, str]
    use: str
    inputs: str
    limits: tuple[str, ...]

    def sections(self) -> list[str]:
        """Return the sections of a card, in Markdown."""
        figures = [f"| {name} | {value} |" for name, value in self.figures.items()]
        unconfirmed = [f"- not confirmed: {self.unconfirmed}"] if self.unconfirmed else []
        limits = [f"- {limit}" for limit in self.limits]
        parts = {
            "Intended use": [self.use, "", f"Takes: {self.inputs}"],
            "Not for": limits,
            "Measured": [self.protocol, "", "| figure | value |", "|---|---|", *figures],
            "Origin": [
                f"- data: {self.data}",
                f"- licence of the data: {self.licence}",
                f"- attribution: {self.attribution}",
                *unconfirmed,
                *(f"- SHA-256 of `{path}`: `{digest}`" for path, digest in self.sources.items()),
                f"- made by `{self.command}` with lepton-ai {self.package}",
            ],
        }
        return [
            part for title, lines in parts.items() for part in (f"## {title}", "\n".join(lines))
        ]
