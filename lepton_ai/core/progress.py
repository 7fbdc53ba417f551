"""Progress bars on long work, on a terminal only."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from importlib import import_module
from typing import TypeVar

__all__ = ["track"]

T = TypeVar("T")


def track(
    items: Iterable[T],
    description: str,
    total: int | None = None,
    *,
    status: Callable[[], str] | None = None,
    shown: bool = True,
) -> Iterator[T]:
    """Yield the items, showing how many are done while standard error is a terminal.

    Args:
        items: what to go through.
        description: a few words on the work, such as ``reading images``.
        total: how many items there are, where ``items`` has no length.
        status: asked after each item for a few words on where the work stands, such as a loss.
        shown: False draws nothing, on a terminal too.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not shown or not sys.stderr.isatty():
        yield from items
        return
    # A bar is drawn by rich, which only a terminal needs: this layer stays light.
    rich = import_module("rich.progress")
    console = import_module("rich.console").Console(stderr=True)
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[status]}"),
    )
    with rich.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total, status="")
        for item in items:
            yield item
            progress.update(task, advance=1, status=status() if status is not None else "")
