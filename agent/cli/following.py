"""Asking the agent for something that takes a card, and watching until it is over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agent.cli.failures import CommandFailed, encoder_failure
from agent.cli.output import Output, clean

if TYPE_CHECKING:
    from rich.progress import Progress

    from agent.control import Control

_FIRST = "Put the card on the encoder"
_WORDS = {"looking": "Looking at the card", "writing": "Writing", "verifying": "Reading back"}


def follow(control: Control, output: Output, path: str, **body: object) -> dict[str, Any]:
    """POST a request and wait for its outcome. Returns the attempt's answer, a success.

    Raises:
        CommandFailed: it came to nothing; with the type and next step of the catalogue.
        ControlError: the agent can't be asked, or refused.
    """
    attempt = control.post(path, **body)["action_attempt"]
    with _watched(control, output, body.get("acs_credential_id")):
        answer = control.outcome(attempt["action_attempt_id"])
    attempt = answer["action_attempt"]
    if attempt["status"] != "success":
        error, next_step = attempt["error"], answer.get("next_step")
        # The attempt's message holds the next step as well, for those who see nothing else.
        message = error["message"].removesuffix(next_step).rstrip() if next_step else error["message"]
        raise CommandFailed(encoder_failure(error["type"], message, next_step), action_attempt=attempt)
    return answer


@contextlib.contextmanager
def _watched(control: Control, output: Output, acs_credential_id: object) -> Iterator[None]:
    """Show what is to be done at the encoder, and, on a terminal, a bar; of this credential where there is one."""
    if output.as_json:
        yield
        return
    from agent.control import Control

    with Control(control.socket) as watching:
        if output.on_terminal:
            with _bar() as bar:
                _watch(watching, acs_credential_id, _on_the_bar(bar))
                yield
        else:
            output.note(f"{_FIRST}.")
            _watch(watching, acs_credential_id, _in_lines(output))
            yield


Show = Callable[[Mapping[str, Any]], None]


def _watch(control: Control, acs_credential_id: object, show: Show) -> None:
    """Have each step of the encoding shown, until the control is closed."""

    def watch() -> None:
        # Only a convenience: whatever happens to the stream, the outcome comes by another way.
        with contextlib.suppress(Exception):
            for kind, data in control.events():
                steps = [data] if kind == "progress" else _under_way(control) if kind == "state" else []
                for step in steps:
                    if acs_credential_id in (None, step["acs_credential_id"]):
                        show(step)

    threading.Thread(target=watch, daemon=True).start()


def _under_way(control: Control) -> list[Mapping[str, Any]]:
    """What encoders were asking for before anybody listened, as the steps that said so."""
    nowhere = {"stage": "looking", "done": 0, "total": 0}
    return [
        (encoder["progress"] or nowhere) | {name: encoder[name] for name in ("prompt", "acs_credential_id")}
        for encoder in control.get("/api/state", jobs=1)["encoders"]
        if encoder["prompt"]
    ]


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[count]}"))
    return Progress(*columns, console=Console(), transient=True)


def _on_the_bar(bar: Progress) -> Show:
    task = bar.add_task(_FIRST, total=None, count="")

    def show(step: Mapping[str, Any]) -> None:
        words = step["prompt"] or _WORDS.get(step["stage"], step["stage"])
        done, total = step["done"], step["total"]
        bar.update(task, description=clean(words), completed=done, total=total or None, count=f"{done}/{total}")

    return show


def _in_lines(output: Output) -> Show:
    said = ""

    def show(step: Mapping[str, Any]) -> None:
        nonlocal said
        if step["prompt"] not in ("", said):
            said = step["prompt"]
            output.note(said)

    return show
