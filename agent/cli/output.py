"""What the commands say: one JSON object, tables on a terminal, or plain lines."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from agent.cli.failures import Failure


class Output:
    """Where a command's answer goes. In JSON mode nothing but one object reaches stdout, whoever prints."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._stdout: IO[str] = sys.stdout
        self._stderr: IO[str] = sys.stderr
        self._answered = False
        for stream in (self._stdout, self._stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character shows its code

    @property
    def on_terminal(self) -> bool:
        """Whether a person watches."""
        return not self.as_json and self._stdout.isatty()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """In JSON mode, catch whatever else is printed meanwhile: help becomes `text`, all else is dropped."""
        if not self.as_json:
            yield
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            yield
        if not self._answered:
            self._object({"ok": True, "text": printed.getvalue().strip()})

    def answer(self, answer: Mapping[str, Any], show: Callable[[], None]) -> None:
        """The command's answer: as JSON with `ok`, else by `show`, which uses `line`, `facts` and `table`."""
        if self.as_json:
            self._object({"ok": True, **answer})
        else:
            show()

    def failure(self, failure: Failure, **more: Any) -> None:
        """What went wrong and what to do next: on stderr, or as the JSON answer. `more` joins the JSON answer."""
        if self.as_json:
            self._object({"ok": False, "error": failure.as_json(), **more})
            return
        print(f"Error: {clean(failure.message)}", file=self._stderr)
        if failure.next_step:
            print(f"Next:  {clean(failure.next_step)}", file=self._stderr)

    def line(self, text: str = "") -> None:
        """One line for people."""
        if not self.as_json:
            print(clean(text), file=self._stdout, flush=True)

    def note(self, text: str) -> None:
        """One line on what is going on, beside the answer."""
        if not self.as_json:
            print(clean(text), file=self._stderr, flush=True)

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Lines of name and value."""
        width = max((len(name) for name, _ in facts), default=0)
        for name, value in facts:
            self.line(f"{name + ':':<{width + 1}} {value}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows under headings: framed on a terminal, else aligned lines. None is shown as nothing."""
        texts = [["" if cell is None else clean(str(cell)) for cell in row] for row in rows]
        if self.on_terminal:
            self._framed(columns, texts)
            return
        widths = [max(len(row[i]) for row in [list(columns), *texts]) for i in range(len(columns))]
        for row in [list(columns), *texts]:
            self.line("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    def _framed(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        filled = [n for n in range(len(columns)) if any(row[n] for row in rows)]
        for n in filled:
            table.add_column(columns[n])
        for row in rows:
            table.add_row(*(Text(row[n]) for n in filled))  # Text: a guest may be called [bold]
        Console(file=self._stdout).print(table)

    def _object(self, answer: Mapping[str, Any]) -> None:
        assert not self._answered, "one answer a call"
        self._answered = True
        # ASCII, so that neither the terminal's encoding nor a torn character from the service gets in the way.
        print(json.dumps(answer, default=str), file=self._stdout, flush=True)


def clean(text: str) -> str:
    """The text on one line and without control characters: a name from the service must not drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
