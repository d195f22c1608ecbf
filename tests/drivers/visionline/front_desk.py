"""A Visionline encoder of ours, open, at the sandbox's server over TLS, with a card in somebody's hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.sandbox.visionline import Visionline, serving_visionline
from agent.sandbox.visionline.cards import Card
from agent.sandbox.visionline.encoders import NetworkEncoder, user_memory
from drivers.content import VisionlineOrder
from drivers.encoder import EncodeResult, FoundCard
from drivers.virtual.cards import VirtualType2
from drivers.virtual.driver import VirtualEncoder
from drivers.visionline.driver import VisionlineEncoder
from drivers.visionline.image import ImageEncoder
from tests.drivers.visionline.desk import GUEST, Journal

ROOM, ANOTHER_ROOM, SHARED = "Room 101", "Room 102", "Main entrance"
NATIVE = "Front desk 1"


def stay(room: str = ROOM, **changes: Any) -> VisionlineOrder:
    """An order of the first card of a stay that has begun."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    given: dict[str, Any] = {
        "guest_doors": (room,),
        "common_doors": (SHARED,),
        "starts_at": now - timedelta(hours=1),
        "ends_at": now + timedelta(days=2),
        "function": "guest",
        "joining": "override",
        "card_format": "rfid48",
        "holder": GUEST,
        "number": None,
    }
    return VisionlineOrder(**given | changes)


@dataclass
class FrontDesk:
    """`journal` is that of the job in hand, which `order` is of."""

    visionline: Visionline
    encoder: VisionlineEncoder
    journal: Journal = field(default_factory=Journal)
    order: VisionlineOrder = field(default_factory=stay)

    @property
    def server(self) -> Any:
        return self.visionline.server

    @property
    def inner(self) -> VirtualEncoder:
        assert isinstance(self.encoder.encoder, ImageEncoder)
        assert isinstance(self.encoder.encoder.inner, VirtualEncoder)
        return self.encoder.encoder.inner

    @property
    def tray(self) -> NetworkEncoder:
        return self.visionline.server.encoders[NATIVE]

    def put(self, kind: str = "Ultralight EV1") -> str:
        uid = self.inner.put(kind=kind)
        assert self.encoder.wait_for_card()
        return uid

    def encode(self, *, insists: bool = False) -> EncodeResult:
        return self.encoder.encode(self.journal.request(self.order, insists=insists))

    def next_job(self, order: VisionlineOrder) -> None:
        self.journal, self.order = Journal(), order

    def found(self) -> FoundCard:
        return self.journal.bound[-1]

    def plastic(self, uid: str) -> VirtualType2:
        card = self.inner.card(uid)
        assert isinstance(card, VirtualType2)
        return card

    def opens(self, uid: str) -> frozenset[str]:
        """The doors that this card opens, by what it holds."""
        return self.visionline.server.opens(uid, user_memory(self.plastic(uid)))

    def on(self, uid: str) -> Card | None:
        """The order whose image this card holds, whole."""
        return self.visionline.server.card_of_image(user_memory(self.plastic(uid)))

    def asked_for(self, step: str) -> int:
        return sum(asked.step == step for asked in self.visionline.server.asked)


def options_for(visionline: Visionline, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "server": visionline.url,
        "username": visionline.username,
        "password_file": visionline.password_file,
        "ca_file": visionline.ca_file,
        "time_zone": "Europe/Berlin",
        "settle_s": 0.05,
    }
    if changes.get("way") == "native":
        given |= {"encoder": NATIVE}
    else:
        given |= {"card_driver": "virtual", "card_options": {"feed": "manual", "pace_ms": 0}}
    return given | changes


@contextlib.contextmanager
def front_desk(**changes: Any) -> Iterator[FrontDesk]:
    with serving_visionline() as visionline:
        options = VisionlineEncoder.options_model.model_validate(options_for(visionline, **changes))
        encoder = VisionlineEncoder("Front desk", options)
        encoder.open()
        try:
            yield FrontDesk(visionline, encoder)
        finally:
            encoder.close()
