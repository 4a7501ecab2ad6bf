"""Progress on the terminal: nothing for what is done within a second."""

import threading
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

PATIENCE_S = 1.0
POLL_S = 0.2


class Progress:
    """Shows steps on stderr; with `quiet`, or where stderr is no terminal, shows nothing."""

    def __init__(self, *, quiet=False):
        self.console = Console(stderr=True, quiet=quiet)

    @contextmanager
    def step(self, text):
        """A step of unknown length."""
        with self._shown(text, lambda: None, None):
            yield

    @contextmanager
    def watch(self, text, path, lines):
        """A step that writes `lines` lines to a file, all about as long as the first."""
        with self._shown(text, lambda: _lines(path), lines):
            yield

    @contextmanager
    def _shown(self, text, done, total):
        finished = threading.Event()
        thread = threading.Thread(target=self._show, args=(text, done, total, finished), daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()

    def _show(self, text, done, total, finished):
        if finished.wait(PATIENCE_S) or not self.console.is_terminal:
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Bars(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(text, total=total)
            while not finished.wait(POLL_S):
                bars.update(task, completed=done())


def _lines(path):
    try:
        with path.open("rb") as file:
            width = len(file.readline())
            return path.stat().st_size // width if width else 0
    except OSError:
        return 0
