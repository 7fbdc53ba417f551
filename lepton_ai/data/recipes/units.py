"""Units: measurements become numbers of one unit."""

import re

import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.blanks import stripped
from lepton_ai.data.recipes.step import Frame, Step, present, textual, with_columns

__all__ = ["FACTORS", "Units"]

# What a unit is in the base unit of its kind; NIST SP 811 (2008), appendix B.
FACTORS: dict[str, dict[str, float]] = {
    "mass": {
        "kg": 1.0, "g": 1e-3, "mg": 1e-6, "ug": 1e-9, "µg": 1e-9, "t": 1e3,
        "lb": 0.45359237, "oz": 0.028349523125, "st": 6.35029318,
    },
    "length": {
        "m": 1.0, "cm": 0.01, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "km": 1e3,
        "in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344,
    },
    "time": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "d": 86400.0, "wk": 604800.0},
    "pressure": {
        "Pa": 1.0, "hPa": 1e2, "kPa": 1e3, "MPa": 1e6, "bar": 1e5, "mbar": 1e2,
        "mmHg": 133.322387415, "psi": 6894.757293168, "atm": 101325.0,
    },
    "volume": {"L": 1.0, "l": 1.0, "dL": 0.1, "dl": 0.1, "mL": 1e-3, "ml": 1e-3, "m3": 1e3},
    "concentration": {
        "g/L": 1.0, "g/l": 1.0, "g/dL": 10.0, "g/dl": 10.0, "mg/mL": 1.0, "mg/dL": 0.01,
        "mg/dl": 0.01, "mg/L": 1e-3, "mg/l": 1e-3, "ug/mL": 1e-3, "ng/mL": 1e-6,
    },
    "amount": {"mol/L": 1.0, "mmol/L": 1e-3, "mmol/l": 1e-3, "umol/L": 1e-6, "µmol/L": 1e-6},
    "energy": {"J": 1.0, "kJ": 1e3, "kcal": 4184.0, "cal": 4.184, "Wh": 3600.0, "kWh": 3.6e6},
    "power": {"W": 1.0, "kW": 1e3, "MW": 1e6, "hp": 745.69987},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600},
    "share": {"1": 1.0, "%": 0.01, "‰": 1e-3, "ppm": 1e-6},
    "temperature": {"K": 1.0, "°C": 1.0, "C": 1.0, "°F": 5 / 9, "F": 5 / 9},
}  # fmt: skip
# What is added after the factor, to be in the base unit.
_OFFSETS = {"°C": 273.15, "C": 273.15, "°F": 459.67 * 5 / 9, "F": 459.67 * 5 / 9}
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"


class Units(Step, frozen=True, kw_only=True, tag="units"):
    """Turn measurements into numbers of one unit, such as ``"180 lb"`` into kilograms.

    Attributes:
        column: numbers, which are in ``assume``, or text that ends in a unit.
        to: the unit wanted; `FACTORS` lists those known.
        assume: the unit of what names none; without it, such text becomes empty.
        factors: units besides, in ``to``: for glucose ``to="mmol/L"`` and
            ``factors={"mg/dL": 0.0555}``.
        comma: whether a comma stands before decimals.
    """

    column: str
    to: str
    assume: str | None = None
    factors: dict[str, float] = field(default_factory=dict)
    comma: bool = False

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with numbers; what names no known unit becomes empty."""
        present(frame, [self.column], "Units")
        kind = self._kind()
        column = nw.col(self.column)
        if frame.collect_schema()[self.column].is_numeric():
            factor, offset = kind[self.assume or self.to]
            changed = column.cast(nw.Float64) * factor
            return with_columns(frame, (changed + offset if offset else changed).alias(self.column))
        textual(frame, [self.column], "Units")
        text = stripped(column)
        if self.comma:
            text = text.str.replace_all(".", "", literal=True).str.replace_all(
                ",", ".", literal=True
            )
        number = text.str.replace_all(r"[^0-9.eE+-].*$", "").str.replace_all(r"[eE]$", "")
        found: list[nw.Expr] = []
        bare = kind.pop("1", None) if self.assume is None else kind.pop(self.assume)
        if self.assume not in (None, "1"):
            kind[str(self.assume)] = bare  # type: ignore[assignment]
            kind.pop("1", None)
        if bare is not None:
            kind[""] = bare
        for unit, (factor, offset) in kind.items():
            pattern = rf"^{_NUMBER}\s*{re.escape(unit)}$"
            value = nw.when(text.str.contains(pattern)).then(number).cast(nw.Float64) * factor
            found.append(value + offset if offset else value)
        return with_columns(frame, nw.coalesce(*found).alias(self.column))

    def _kind(self) -> dict[str, tuple[float, float]]:
        """Return the units that the column may have, as factor and offset to the one wanted."""
        units = next((units for units in FACTORS.values() if self.to in units), {self.to: 1.0})
        same = {
            unit: (
                factor / units[self.to],
                (_OFFSETS.get(unit, 0.0) - _OFFSETS.get(self.to, 0.0)) / units[self.to],
            )
            for unit, factor in units.items()
        }
        same |= {unit: (factor, 0.0) for unit, factor in self.factors.items()}
        if (len(same) == 1 and not self.factors) or self.assume not in {None, *same}:
            raise InvalidInput(
                f"Units({self.column!r}, to={self.to!r}, assume={self.assume!r}): known are "
                f"{'; '.join(', '.join(units) for units in FACTORS.values())}; give others as "
                "factors={unit: how many of to}"
            )
        return same

    def reads(self) -> set[str]:
        """Return the column that the step looks at."""
        return {self.column}

    def writes(self) -> set[str]:
        """Return the column that the step changes."""
        return {self.column}

    def explain(self) -> str:
        """Return a sentence on the step."""
        assumed = f", {self.assume} where none is named" if self.assume else ""
        return f"{self.column} in {self.to}{assumed}"
