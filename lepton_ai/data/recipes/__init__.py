"""Recipes: cleaning, transforming and aggregating tables as data, on any table engine.

`recipe` holds the list of steps; the steps lie one family a file: `clean`, `impute`, `outliers`,
`normalise`, `scale`, `encode`, `dates`, `text`, `windows`, `aggregate`, `derive`.
"""

from lepton_ai.data.recipes.aggregate import Aggregate, Calendar
from lepton_ai.data.recipes.clean import Deduplicate, DropColumns, DropMissing, Invalid
from lepton_ai.data.recipes.dates import DateParts, ParseDates
from lepton_ai.data.recipes.derive import Derive, Filter, Rename, Select
from lepton_ai.data.recipes.encode import Bin, HashEncode, OneHot, Ordinal, TargetEncode
from lepton_ai.data.recipes.impute import Impute
from lepton_ai.data.recipes.normalise import Rare, Tidy, Units
from lepton_ai.data.recipes.outliers import Outliers
from lepton_ai.data.recipes.proposal import propose_recipe
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.data.recipes.scale import Scale
from lepton_ai.data.recipes.stored import open_recipe, run_recipe, save_recipe
from lepton_ai.data.recipes.text import Embed, Tfidf
from lepton_ai.data.recipes.windows import Lag, Rolling

__all__ = [
    "Aggregate",
    "Bin",
    "Calendar",
    "DateParts",
    "Deduplicate",
    "Derive",
    "DropColumns",
    "DropMissing",
    "Embed",
    "Filter",
    "HashEncode",
    "Impute",
    "Invalid",
    "Lag",
    "OneHot",
    "Ordinal",
    "Outliers",
    "ParseDates",
    "Rare",
    "Recipe",
    "Rename",
    "Rolling",
    "Scale",
    "Select",
    "TargetEncode",
    "Tfidf",
    "Tidy",
    "Units",
    "open_recipe",
    "propose_recipe",
    "run_recipe",
    "save_recipe",
]
