"""Stories of cards that somebody else's system makes: Visionline's server, or the credential service itself.

What such a system was told can't be untold. So orders that were carried out are counted, too, at every death.
"""

from __future__ import annotations

import contextlib
import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from agent import clock
from agent.sandbox.attempts import end_what_is_due
from agent.sandbox.encoding import card_on
from agent.sandbox.kinds import ACTION_ATTEMPT, ENCODER
from agent.sandbox.store import Query
from agent.sandbox.turns import Turn, script
from agent.sandbox.visionline import Visionline, serving_visionline
from agent.sandbox.visionline.encoders import NetworkEncoder
from drivers.virtual.cards import VirtualType2
from tests.rig.daemon import until
from tests.rig.story import KILLED, PATIENCE_S, Desk, Journal, Stage
from tests.rig.visionline import NATIVE, Way, is_whole, options


def toml(table: dict[str, Any]) -> str:
    """Keys of a table, tables in it in a line each."""
    return "\n".join(f"{key} = {_value(value)}" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'


class OrderingDesk(Desk):
    """One whose encoder has cards made by somebody else's system. `allowed` is how many orders may be carried out."""

    allowed = 1
    _asked_at = ""

    def orders(self) -> int:
        """How many were carried out."""
        raise NotImplementedError

    def judge(self) -> None:
        """And nothing is ordered twice without a person's word."""
        super().judge()
        assert self.orders() <= self.allowed, "ordered twice"

    def needs_a_person(self, acs_credential_id: str) -> bool:
        """Whether the desk leaves it to a person to have the card ordered once more, and nobody has said so since."""
        outcome = self.encoder()["last_outcome"]
        if outcome is None or outcome["ok"] or outcome["at"] < self._asked_at:
            return False
        return self.state(acs_credential_id) == "writing" and "--overwrite" in outcome["error"]["next_step"]

    def finished(self, acs_credential_id: str) -> None:
        """Wait until its job has come to the good end, with a person's word where a death has left it in doubt."""
        self.until(
            lambda: self.state(acs_credential_id) == "reported" or self.needs_a_person(acs_credential_id),
            "the card, or a question",
        )
        if self.state(acs_credential_id) != "reported":
            assert self.deaths, "a person is asked for no reason"
            self.insist(acs_credential_id)
        self.reported(acs_credential_id)

    def insist(self, acs_credential_id: str) -> None:
        """A person has it ordered once more, and again where the desk asks again."""

        def written() -> bool:
            return self.state(acs_credential_id) in ("verified", "reported")

        while True:
            self.until(lambda: written() or self.needs_a_person(acs_credential_id), "the card, or a question")
            if written():
                return
            self.allowed, self._asked_at = self.allowed + 1, clock.now_text()
            with contextlib.suppress(httpx.TransportError):  # it dies over it
                self.daemon.ask("/api/encode", acs_credential_id=acs_credential_id, overwrite=True)

    def stop(self) -> None:
        """Have the agent end as systemd does; it may die on its way out."""
        self.daemon.tell(signal.SIGTERM)
        until(lambda: self.daemon.ended is not None, "the agent to end", PATIENCE_S)
        if self.daemon.ended != KILLED:
            self.daemon.kill()
            self.start()


class VisionlineDesk(OrderingDesk):
    """Visionline's server makes the cards: on a reader of pcscd's, or on its own encoder (`trays`)."""

    def __init__(self, folder: Path, stage: Stage, *, way: Way) -> None:
        self._closing = ExitStack()
        self._way = way
        self.visionline: Visionline = self._closing.enter_context(serving_visionline())
        self.laid: list[VirtualType2] = []
        super().__init__(folder, stage)

    def _encoder(self) -> str:
        table = options(self.visionline, self._way, reader=self._pcscd.readers[self._reader], encoder_s=0.5)
        mode = 'mode = "attended"\n' if self._way == "native" else ""
        return f'driver = "visionline"\n{mode}[encoder.options]\n{toml(table)}'

    def close(self) -> None:
        """End it all."""
        super().close()
        self._closing.close()

    def orders(self) -> int:
        """The overrides that were carried out."""
        return self.visionline.server.overrides

    def texts(self) -> list[str | None]:
        """The numbers of cards that hold what the server has made for them."""
        cards = [card.memory for card in self.cards] + self.laid
        return [self._number(card.uid().hex()) if is_whole(self.visionline, card) else None for card in cards]

    def _number(self, uid: str) -> str:
        return uid if self._way == "image" else f"{uid}ff"

    @property
    def tray(self) -> NetworkEncoder:
        """The server's own encoder."""
        return self.visionline.server.encoders[NATIVE]

    def lay(self) -> None:
        """Lay a new card on the server's own encoder."""
        self.laid.append(self.tray.put())

    def pick(self, acs_credential_id: str) -> None:
        """A person has it encoded next, and asks again where nobody answers and it isn't done."""
        self.ask(
            "/api/encode",
            acs_credential_id=acs_credential_id,
            unless=lambda: (
                self.state(acs_credential_id) in ("verified", "reported") or self.needs_a_person(acs_credential_id)
            ),
        )


class ServicesDesk(OrderingDesk):
    """The credential service encodes on an encoder of its own, in which cards lie ready."""

    def _encoder(self) -> str:
        self._id = json.loads(self.service.store.page(ENCODER, Query(), 0, 1).bodies[0])["acs_encoder_id"]
        script(self.service.store, self._id, "SCAN_CREDENTIAL", *[Turn(scenario="credential_on_encoder_is_empty")] * 20)
        table = {"acs_encoder_id": self._id, "poll_s": 0.02, "pause_s": 0.05, "patience_s": 5.0}
        return f'driver = "seam"\n[encoder.options]\n{toml(table)}'

    def orders(self) -> int:
        """The encodings that were begun."""
        attempts = map(json.loads, self.service.store.page(ACTION_ATTEMPT, Query(), 0, 1000).bodies)
        return sum(attempt["action_type"] == "ENCODE_CREDENTIAL" for attempt in attempts)

    def texts(self) -> list[str | None]:
        """The number of the card that was encoded last."""
        end_what_is_due(self.service.store)  # at the latest the next request would
        card = card_on(self.service.store, self._id)
        return [card and card["snapshot"]["card_number"]]

    def _judge_the_reports(self, journal: Journal) -> None:
        """The service knows of it: nothing is sent."""
        assert not self.service.reports
        assert len(journal.reports) == journal.verified
        assert set(journal.reports.values()) <= {"acknowledged"}
        assert journal.applied_to == self._said_issued()
