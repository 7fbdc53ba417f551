"""Recipes: cleaning, transforming and aggregating tables as data, on any table engine.

`recipe` holds the list of steps, `written` has it as YAML; the steps lie one family a file:
`clean`, `fuzzy`, `invalid`, `impute`, `outliers`, `normalise`, `units`, `scale`, `encode`,
`target`, `dates`, `text`, `windows`, `join`, `aggregate`, `derive`.
"""

from lepton_ai.data.recipes.aggregate import Aggregate, Calendar
from lepton_ai.data.recipes.clean import Deduplicate, DropColumns, DropMissing
from lepton_ai.data.recipes.dates import DateParts, ParseDates
from lepton_ai.data.recipes.derive import Derive, Filter, Rename, Select, Sort
from lepton_ai.data.recipes.encode import Bin, HashEncode, OneHot, Ordinal
from lepton_ai.data.recipes.fuzzy import FuzzyDuplicates
from lepton_ai.data.recipes.impute import Impute
from lepton_ai.data.recipes.invalid import Convert, Invalid
from lepton_ai.data.recipes.join import AsOf, Join
from lepton_ai.data.recipes.normalise import Rare, Tidy
from lepton_ai.data.recipes.outliers import Outliers
from lepton_ai.data.recipes.proposal import propose_recipe
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.data.recipes.scale import Scale
from lepton_ai.data.recipes.stored import open_recipe, run_recipe, save_recipe
from lepton_ai.data.recipes.target import TargetEncode
from lepton_ai.data.recipes.text import Embed, Tfidf
from lepton_ai.data.recipes.units import Units
from lepton_ai.data.recipes.windows import Lag, Rolling, RollingTime
from lepton_ai.data.recipes.written import read_recipe, write_recipe

__all__ = [
    "Aggregate",
    "AsOf",
    "Bin",
    "Calendar",
    "Convert",
    "DateParts",
    "Deduplicate",
    "Derive",
    "DropColumns",
    "DropMissing",
    "Embed",
    "Filter",
    "FuzzyDuplicates",
    "HashEncode",
    "Impute",
    "Invalid",
    "Join",
    "Lag",
    "OneHot",
    "Ordinal",
    "Outliers",
    "ParseDates",
    "Rare",
    "Recipe",
    "Rename",
    "Rolling",
    "RollingTime",
    "Scale",
    "Select",
    "Sort",
    "TargetEncode",
    "Tfidf",
    "Tidy",
    "Units",
    "open_recipe",
    "propose_recipe",
    "read_recipe",
    "run_recipe",
    "save_recipe",
    "write_recipe",
]
