"""Progress bars on long work, on a terminal only."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from importlib import import_module
from io import SEEK_END
from typing import BinaryIO, TypeVar

__all__ = ["track", "watch"]

# Of a file that is read in a moment.
_SMALL = 16 * 2**20

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
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[status]}", markup=False),
    )
    with rich.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total, status="")
        for item in items:
            yield item
            progress.update(task, advance=1, status=status() if status is not None else "")


@contextmanager
def watch(file: BinaryIO, description: str) -> Iterator[BinaryIO]:
    """Give a large file in whose place the same file is read, showing how far it is.

    It is drawn while standard error is a terminal, and starts anew where reading does.
    """
    if not (sys.stderr.isatty() and file.seekable()):
        yield file
        return
    place = file.tell()
    size = file.seek(0, SEEK_END)
    file.seek(place)
    if size < _SMALL:
        yield file
        return
    console = import_module("rich.console").Console(stderr=True)
    draw = import_module("rich.progress").wrap_file
    # The name of a file may look like markup.
    said = import_module("rich.markup").escape(description)
    with draw(file, size, description=said, console=console, transient=True) as drawn:
        yield drawn
