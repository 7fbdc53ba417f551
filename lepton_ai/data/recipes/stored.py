"""Recipes in the workspace: named, versioned, and part of the lineage of what they make."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.recipes.invalid import Invalid
from lepton_ai.data.recipes.join import Looked, joining_in
from lepton_ai.data.recipes.origins import SOURCE, origins
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Node, Workspace

if TYPE_CHECKING:
    from lepton_ai.data.table import Table

__all__ = ["joined", "open_recipe", "run_recipe", "save_recipe"]


def save_recipe(
    name: str,
    recipe: Recipe,
    *,
    trained_on: "Table | None" = None,
    workspace: Workspace | None = None,
) -> Node:
    """Keep a recipe under a name; other content is the next version.

    Args:
        trained_on: what it was fitted on, for the lineage.
    """
    place = workspace or Workspace.open()
    parents = [] if trained_on is None else [(trained_on.record().id, "data")]
    parents += joined(place, recipe)
    with place.transaction() as transaction:
        address = transaction.put(recipe.to_json())
        return transaction.node(
            "recipe",
            name,
            version=True,
            digest=address,
            facts={"steps": [step.explain() for step in recipe.steps], "fitted": recipe.fitted},
            parents=parents,
            holds=[address],
        )


def open_recipe(ref: str, workspace: Workspace | None = None) -> Recipe:
    """Open a recipe by ``name``, ``name:2`` or ``name@alias``.

    Raises:
        NotFound: there is none.
        AccessDenied: it learned from columns that the principal sees masked, or not at all.
    """
    place = workspace or Workspace.open()
    node = place.lineage.resolve(ref, ["recipe"])
    if node.digest is None:
        raise NotFound(f"the recipe {ref} held words of a person who was erased; fit it again")
    recipe = Recipe.from_json(place.objects.get(node.digest))
    if recipe.fitted:
        _require(place, node, recipe)
    return recipe


def _require(place: Workspace, node: Node, recipe: Recipe) -> None:
    """Make sure that what a fitted recipe holds, such as categories, is the principal's to see."""
    from lepton_ai.data.access import sight

    read = [step.reads() for step in recipe.steps]
    for _, parent in place.lineage.parents(node.id):
        whole = parent.facts["dataset"] if parent.kind == "split" else parent.id
        view = sight(place, place.lineage.get(whole), current_principal())
        hidden = {*view.masked, *view.refused}
        used = hidden if None in read else hidden & set().union(*(names or () for names in read))
        view.require(used, f"see what {node.ref} learned")


def run_recipe(
    recipe: Recipe | str,
    data: "Table | str",
    name: str,
    *,
    workspace: Workspace | None = None,
) -> "Table":
    """Apply a recipe to a table and store the result, with what it was made from.

    A recipe that is not fitted is fitted on these rows, and kept as ``NAME`` fitted.

    Raises:
        InvalidInput: the result would have the name of what it was made from.
    """
    # What reads and writes tables is heavy; a served model needs none of it.
    from lepton_ai.data import tables
    from lepton_ai.data.catalog import open_dataset
    from lepton_ai.data.table import Table

    place = workspace or (data.workspace if isinstance(data, Table) else Workspace.open())
    source = open_dataset(data, place) if isinstance(data, str) else data
    if not isinstance(source, Table):
        raise InvalidInput(f"{data} holds no table; recipes are for tables")
    if source.name == name:
        raise InvalidInput(f"the result needs a name of its own, such as {name}_clean")
    chosen = open_recipe(recipe, place) if isinstance(recipe, str) else recipe
    with joining_in(place):
        if chosen.fitted:
            result = chosen.apply(source)
        else:
            chosen, result = chosen.fit_apply(source)
    if chosen.counts:
        ends = (*chosen.counts[:-1], result.height)
        chosen = msgspec.structs.replace(chosen, counts=ends)
    kept = save_recipe(name, chosen, trained_on=source, workspace=place)
    data_id = source.record().id
    parents = [(data_id, "data"), (kept.id, "recipe"), *joined(place, chosen)]
    node = tables.store_table(
        place,
        name,
        [result],
        parents=parents,
        operation="recipe",
        facts={"derived": _derived(place, chosen, source, data_id, result.columns)},
    )
    return Table(place, node)


def _derived(
    place: Workspace, recipe: Recipe, source: "Table", data_id: str, result: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return, for each column, the columns of each parent that it was computed from."""
    derived: dict[str, dict[str, list[str]]] = {}
    for column, found in origins(recipe.steps, source.columns, result).items():
        of = derived.setdefault(column, {})
        for ref, names in found.items():
            node_id = data_id if ref == SOURCE else place.lineage.resolve(ref, ["dataset"]).id
            of[node_id] = sorted({*of.get(node_id, ()), *names})
    return derived


def joined(place: Workspace, recipe: Recipe) -> list[tuple[str, str]]:
    """Return the datasets that a recipe joins or refers to, as parents in the lineage."""
    steps: Iterable[object] = recipe.steps
    looked = [step.pinned for step in steps if isinstance(step, Looked | Invalid)]
    refs = dict.fromkeys(ref for ref in looked if ref)
    return [(place.lineage.resolve(ref, ["dataset"]).id, "joined") for ref in refs]
