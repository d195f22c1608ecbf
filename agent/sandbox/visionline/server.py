"""The server's state, and what tests and the demo may do to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.cards import Card
from agent.sandbox.visionline.doors import Door
from agent.sandbox.visionline.encoders import NetworkEncoder, room_on, user_memory, write
from agent.sandbox.visionline.faults import Fault, Faults, Incident
from agent.sandbox.visionline.images import LENGTHS, Spoil, image, spoiled
from agent.sandbox.visionline.ledger import Ledger
from agent.sandbox.visionline.orders import Order, read_order, serial_of, uid_of
from agent.sandbox.visionline.sessions import Sessions
from agent.sandbox.visionline.store import Store
from agent.sandbox.visionline.times import PropertyTime
from drivers.tags.link import Refused, TagLost
from drivers.virtual.cards import VirtualType2


@dataclass(frozen=True)
class Asked:
    """A request that came, without anything secret. `switches` are an order's parameters, but for the encoder."""

    step: str
    status: int
    """What was answered, or would have been; 0 where nothing was done and nothing answered."""
    done: bool
    """Whether it was carried out."""
    switches: Mapping[str, str] = field(default_factory=dict)


class VisionlineServer:
    """One property's server. All of it may be used from any thread; its settings may be changed at any time."""

    def __init__(
        self,
        store: Store,
        *,
        doors: Iterable[Door],
        encoders: Iterable[str],
        time_zone: str,
        username: str,
        password: str,
    ) -> None:
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        """The server's clock, aware: requests with a date too far from it are refused, and cards expire by it."""
        self.doors = {door.name: door for door in doors}
        self.encoders = {name: NetworkEncoder(name) for name in encoders}
        self.times = PropertyTime(time_zone)
        self.sessions = Sessions(username, password, lambda: self.clock())
        self.faults = Faults()
        self.patience_s = 20.0
        """How long an order waits for a card on the encoder."""
        self.image_lengths = dict(LENGTHS)
        """Bytes of a new card's image, by format."""
        self.spoil: Spoil | None = None
        """What is wrong with the images in answers."""
        self.gives_image_again = True
        """Whether GET cards/{id} tells the image. That the real server does is believed, not verified."""
        self.brief_lists = False
        """Whether lists of cards tell the ids alone. Which it is isn't public; one client asks for each card again."""
        self.serials: Literal["either", "suffixed", "bare"] = "either"
        """In which form a serial number finds its card: one client looks for it with ff behind it, another without."""
        self.asked: list[Asked] = []
        """All requests for something that there is, refused ones and those that met a fault as well."""
        self._lock = threading.RLock()
        self._secret = store.secret()
        self._ledger = Ledger(store, self.doors, self.times)

    # What tests and the demo do and see.

    def fail_next(self, step: str, fault: Fault, times: int | None = 1) -> Incident:
        """Have the next requests of this step (`faults.STEPS`) fail, so many `times`; None: until `heal`."""
        return self.faults.add(step, fault, times)

    def heal(self) -> None:
        """Nothing fails any more, and all that is held is let go."""
        self.faults.clear()

    def forget_sessions(self) -> None:
        """As after a restart: every session is unknown."""
        self.sessions.forget()

    @property
    def cards(self) -> list[Card]:
        """All cards that were ever made, oldest first. They are there again after a restart."""
        with self._lock:
            return list(self._ledger)

    @property
    def overrides(self) -> int:
        """How many orders were carried out that voided the cards before."""
        return sum(card.made == "override" for card in self.cards)

    def mark(self, number: int, **flags: bool) -> Card:
        """Set flags of a card: cancelled, discarded, overridden, overwritten, pending_auto_update."""
        with self._lock:
            return self._ledger.mark(number, **flags)

    def card_of_image(self, memory: bytes) -> Card | None:
        """The card whose image stands whole at the beginning of this memory."""
        return next((c for c in self.cards if c.image_length and memory.startswith(image(self._secret, c))), None)

    def opens(self, uid: str, memory: bytes, at: datetime | None = None) -> frozenset[str]:
        """The doors that a physical card with this UID (hex) and user memory opens, now or `at` an aware moment.

        The lock takes an image only whole and from the card with the right UID. Unlike real locks, which learn of an
        override from the next guest's card, these know at once: whoever orders one and doesn't write it has locked
        the guests before out.
        """
        card = self.card_of_image(memory)
        if card is None or uid.lower() not in card.uids or not card.is_valid_at(at or self.clock(), self.times):
            return frozenset()
        return card.doors

    def close(self) -> None:
        """Whoever waits, waits no longer; nothing that is held is carried out any more."""
        self.faults.close()
        for encoder in self.encoders.values():
            encoder.close()

    # What requests ask for. What they raise is `Refusal`.

    def list_doors(self, *, details: bool) -> list[dict[str, Any]]:
        """GET doors."""
        return [door.body(number, details=details) for number, door in enumerate(self.doors.values(), 1)]

    def order(self, query: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """POST cards. That the answer is the card, with its image beside, is believed."""
        order = read_order(query, body, self.doors, self.times)
        length = self.image_lengths[order.card_format]
        if order.way == "native":
            card = self._write_natively(order, length)
        else:
            with self._lock:
                made_of = 0 if order.way == "registered" else length
                card = self._ledger.draft(order, order.uids, self.clock(), image_length=made_of)
                self._ledger.enter(card)
        return self._told(card, with_image=card.way == "image")

    def find_by_serial(self, serial: str) -> list[dict[str, Any]]:
        """GET cards?serialNumber=. All cards that there ever were with it, which is believed."""
        try:
            uid = uid_of(serial)
        except ValueError:
            raise refusals.bad_request("A serial number is the UID in hexadecimal.", "serialNumber") from None
        wanted = {"either": serial, "suffixed": serial_of(uid), "bare": uid}[self.serials]
        with self._lock:
            found = self._ledger.with_uid(uid) if serial.lower() == wanted.lower() else []
        return self._listed(found)

    def find_by_room(self, room: str, valid_time: str) -> list[dict[str, Any]]:
        """GET cards?guestDoor=&validTime=. Void cards too: the one client that asks this looks at their flags."""
        if room not in self.doors:
            raise refusals.unknown_door()
        try:
            moment = self.times.moment(valid_time)
        except ValueError:
            raise refusals.bad_request("validTime must be of the form 20250710T1500.", "validTime") from None
        with self._lock:
            found = self._ledger.of_room(room, moment)
        return self._listed(found)

    def card(self, number: str) -> dict[str, Any]:
        """GET cards/{id}."""
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            raise refusals.unknown_card()
        with self._lock:
            card = self._ledger.get(int(number))
        return self._told(card, with_image=self.gives_image_again and card.way == "image")

    def _write_natively(self, order: Order, length: int) -> Card:
        """Have the encoder write the card. It is entered once that is done: what fails has voided nothing."""
        encoder = self.encoders.get(order.encoder)
        if encoder is None:
            raise refusals.unknown_encoder()
        if not encoder.online:
            raise refusals.encoder_offline()
        lying = encoder.wait_for_card(self.patience_s)
        if lying is None:
            raise refusals.no_card()
        try:
            with self._lock:
                return self._written(order, lying, length)
        except (Refused, TagLost):
            raise refusals.not_written() from None

    def _written(self, order: Order, lying: VirtualType2, length: int) -> Card:
        uid = lying.uid().hex()
        if room_on(lying) < length:
            raise refusals.card_too_small()
        if not order.overwrites_valid and self.opens(uid, user_memory(lying)):
            raise refusals.card_in_use()
        card = self._ledger.draft(order, (uid,), self.clock(), image_length=length)
        write(lying, image(self._secret, card))
        self._ledger.enter(card)
        return card

    def _listed(self, cards: Iterable[Card]) -> list[dict[str, Any]]:
        if self.brief_lists:
            return [{"id": str(card.number)} for card in cards]
        return [self._told(card, with_image=False) for card in cards]

    def _told(self, card: Card, *, with_image: bool) -> dict[str, Any]:
        told = card.body(self.clock(), self.times)
        return told | spoiled(image(self._secret, card), self.spoil) if with_image else told
