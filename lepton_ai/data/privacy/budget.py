"""Budget: what differentially private answers may tell, and have told, of a dataset.

A limit belongs to a dataset's name. Every answer is charged to each dataset in the lineage of the
table that was asked and that has a limit, and to those that were read from the same files: neither
a new version nor a derived copy nor another import gives more. Rows stored anew from memory have
no lineage that could tell.
"""

from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from lepton_ai.core.errors import AccessDenied, InvalidInput
from lepton_ai.core.ids import new_id
from lepton_ai.security.grants import require
from lepton_ai.security.policy import Permission
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.schema import budgets

__all__ = ["Budget", "budget_of", "charge", "set_budget"]

# Sums of tenths do not come to a whole in binary; this much more is still within the limit.
_ROUNDING = 1e-9


class Budget(Struct, frozen=True):
    """A dataset's limit and what is left of it.

    Attributes:
        dataset: its name.
        epsilon: that all answers together may cost.
        spent: so far.
        answers: how many there were.
    """

    dataset: str
    epsilon: float
    spent: float
    answers: int

    @property
    def left(self) -> float:
        """What further answers may cost."""
        return max(0.0, self.epsilon - self.spent)


class _Row(Struct, frozen=True):
    limit: float | None = None
    cost: float = 0.0
    query: str = ""


def set_budget(workspace: Workspace, dataset: str, epsilon: float) -> Budget:
    """Set the limit of a dataset; what was spent stays spent.

    Raises:
        InvalidInput: epsilon is not a positive number.
        AccessDenied: whoever acts may not administer the workspace.
    """
    require(Permission.ADMIN, "set a privacy budget")
    if not 0 < epsilon < float("inf"):
        raise InvalidInput(f"epsilon must be a positive number, such as 1.0; got {epsilon}")
    name = dataset.partition("#")[0]
    with workspace.database.write() as connection:
        _add(workspace, connection, name, _Row(limit=epsilon))
    found = budget_of(workspace, name)
    assert found is not None
    return found


def budget_of(workspace: Workspace, dataset: str) -> Budget | None:
    """Return the budget of a dataset; None where it has no limit.

    Raises:
        Corrupt: the ledger was altered.
    """
    with workspace.database.read() as connection:
        return _sum(workspace, connection, dataset.partition("#")[0])


def charge(workspace: Workspace, version: Node, epsilon: float, query: str) -> list[Budget]:
    """Write the cost of an answer into the ledger of every dataset it comes from, or of none.

    It is charged before the answer is computed: one that then fails is paid for.

    Returns:
        The budgets as they are now.

    Raises:
        AccessDenied: some budget would be overdrawn; the message says what is left.
        InvalidInput: no dataset in the lineage has a limit.
    """
    links = workspace.lineage.ancestors(version.id)
    ancestors = workspace.lineage.nodes({link.parent for link in links}).values()
    names = {node.name for node in (version, *ancestors) if node.kind == "dataset"}
    # The same file, imported again under another name, is the same people.
    for source in (node for node in ancestors if node.kind == "source"):
        children = workspace.lineage.children(source.id)
        names |= {child.name for _, child in children if child.kind == "dataset"}
    ordered = sorted({name.partition("#")[0] for name in names})
    with workspace.database.write() as connection:
        charged = []
        for name in ordered:
            workspace.database.serialise(connection, f"budget:{name}")
            budget = _sum(workspace, connection, name)
            if budget is None:
                continue
            if epsilon > budget.left + _ROUNDING:
                raise AccessDenied(
                    f"this answer costs epsilon {epsilon:g}, and {name} has {budget.left:g} of "
                    f"{budget.epsilon:g} left; ask for less precision, or the owner for more: "
                    f"lepton privacy budget {name} --set EPSILON"
                )
            _add(workspace, connection, name, _Row(cost=epsilon, query=query))
            charged.append(name)
        if not charged:
            raise InvalidInput(
                f"no dataset in the lineage of {version.ref} has a privacy budget; set one: "
                f"lepton privacy budget {ordered[-1]} --set 1.0"
            )
        return [b for name in charged if (b := _sum(workspace, connection, name)) is not None]


def _sum(workspace: Workspace, connection: Connection, name: str) -> Budget | None:
    query = sa.select(budgets).where(budgets.c.dataset == name)
    limit, spent, answers = None, 0.0, 0
    for row in connection.execute(query.order_by(budgets.c.created_at, budgets.c.id)):
        body = workspace.keys.unseal(row.body, _context(row.id, name))
        entry = msgspec.json.decode(body, type=_Row)
        limit = entry.limit if entry.limit is not None else limit
        spent += entry.cost
        answers += entry.limit is None
    return None if limit is None else Budget(name, limit, spent, answers)


def _add(workspace: Workspace, connection: Connection, name: str, row: _Row) -> None:
    row_id = new_id("budget")
    body = workspace.keys.seal(msgspec.json.encode(row), _context(row_id, name))
    values = {"id": row_id, "dataset": name, "body": body, "created_at": datetime.now(UTC)}
    connection.execute(sa.insert(budgets).values(**values))


def _context(row_id: str, name: str) -> bytes:
    return msgspec.json.encode(["budget", row_id, name])
