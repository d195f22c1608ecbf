"""Bad ends that an encoder brings about: it is not there, it goes, it hangs."""

from __future__ import annotations

import threading

from agent import overview
from drivers import steps
from tests.agent.cli.bad_ends.desk import BadEnd, Desk, nothing
from tests.rig.agent import VIRTUAL


async def pcscd_gone(desk: Desk) -> None:
    await nothing(desk)
    rig = desk.pcscd
    assert rig is not None
    desk.later.callback(rig.restart)
    rig.stop()
    await desk.running.until(lambda: desk.running.agent.stations[0].trouble, "the encoder to be missed")


async def hung(desk: Desk) -> str:
    made = await desk.credential()
    let_go, station = threading.Event(), desk.running.agent.stations[0]
    desk.monkeypatch.setattr(overview, "SILENT_S", 0.0)

    def hang(name: str, phase: steps.Phase) -> None:
        if name == "card.exchange" and phase == "before":
            let_go.wait(60)

    steps.observe(hang)
    desk.later.callback(let_go.set)
    desk.later.callback(steps.observe)
    desk.uid = desk.running.encoder.put()
    await desk.running.until(lambda: station.job, "the card to be looked at")
    return made


CASES: list[BadEnd] = [
    BadEnd(
        "an encoder that is not there",
        nothing,
        queue=("Desk: The virtual cards can't be read from", "Move that file away."),
        status=(
            "NOT READY: no encoder is online",
            "Desk: The virtual cards can't be read from",
            "Move that file away.",
        ),
        encoder=VIRTUAL | {"options": {"feed": "manual", "cards_file": "/"}},
    ),
    BadEnd(
        "pcscd gone",
        pcscd_gone,
        queue=("Desk: ", "pcscd"),
        status=("NOT READY: no encoder is online", "Desk: ", "systemctl"),
        encoder={"name": "Desk", "driver": "pcsc", "options": {"reader": "Rig A 00 00"}},
    ),
    BadEnd(
        "a driver that hangs",
        hung,
        queue=("Desk has given no sign of life", "Leave the card there, unplug the encoder and plug it in again."),
        status=(
            "Desk has given no sign of life",
            "sudo systemctl restart card-encoder",
            "at work on job {job}, NO SIGN OF LIFE",
        ),
        ends_in=("claimed",),
    ),
]
