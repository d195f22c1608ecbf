"""Asking the agent for something that takes a card, and watching until it is over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agent.cli.failures import CommandFailed, encoder_failure
from agent.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from agent.control import Control

_WORDS = {"looking": "Looking at the card", "writing": "Writing", "verifying": "Reading back"}


def follow(control: Control, output: Output, path: str, **body: object) -> dict[str, Any]:
    """POST a request and wait for its outcome. Returns the attempt's answer, a success.

    Raises:
        CommandFailed: it came to nothing; with the type and next step of the catalogue.
        ControlError: the agent can't be asked, or refused.
    """
    attempt = control.post(path, **body)["action_attempt"]
    with _progress(control, output):
        answer = control.outcome(attempt["action_attempt_id"])
    attempt = answer["action_attempt"]
    if attempt["status"] != "success":
        error, next_step = attempt["error"], answer.get("next_step")
        # The attempt's message holds the next step as well, for those who see nothing else.
        message = error["message"].removesuffix(next_step).rstrip() if next_step else error["message"]
        raise CommandFailed(encoder_failure(error["type"], message, next_step), action_attempt=attempt)
    return answer


@contextlib.contextmanager
def _progress(control: Control, output: Output) -> Iterator[None]:
    """On a terminal, a bar that shows what the encoders do meanwhile."""
    if not output.on_terminal:
        output.note("Put the card on the encoder.")
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from agent.control import Control

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
    with Progress(*columns, console=Console(), transient=True) as bar, Control(control.socket) as watching:
        task = bar.add_task("Put the card on the encoder", total=None, count="")
        threading.Thread(target=_watch, args=(watching, bar, task), daemon=True).start()
        yield


def _watch(control: Control, bar: Progress, task: TaskID) -> None:
    # The bar is a convenience: whatever happens to the stream, the outcome comes by another way.
    with contextlib.suppress(Exception):
        for kind, data in control.events():
            if kind == "progress":
                words = _WORDS.get(data["stage"], data["stage"])
                done, total = data["done"], data["total"]
                bar.update(task, description=words, completed=done, total=total or None, count=f"{done}/{total}")
