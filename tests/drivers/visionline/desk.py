"""What the tests of a Visionline encoder order, and a server in memory that makes cards of it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from drivers.content import VisionlineOrder
from drivers.encoder import EncodeRequest, FoundCard, OrderNote
from drivers.errors import EncoderError
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder
from drivers.visionline.trouble import NotReached, Refused, Unanswered

UID, OTHER_UID = "04a1b2c3d4e5f6", "04111111111111"
ROOM, SHARED, GUEST = "Suite 4711", "Pool 13", "Astrid Lindqvist"
STARTS, ENDS = datetime(2040, 5, 4, 13, 0, tzinfo=UTC), datetime(2040, 5, 6, 10, 0, tzinfo=UTC)


def options(**changes: Any) -> VisionlineOptions:
    """Made once each: whether the card's driver can be had is looked up every time."""
    return _made(json.dumps(changes, default=str))


@functools.cache
def _made(text: str) -> VisionlineOptions:
    changes: dict[str, Any] = json.loads(text)
    given: dict[str, Any] = {
        "server": "https://visionline.example",
        "username": "desk",
        "password_file": "/nowhere/password",
        "time_zone": "Europe/Oslo",
        "settle_s": 0.05,
    }
    if changes.get("way") == "native":
        given["encoder"] = "Desk 1"
    else:
        given["card_driver"] = "virtual"
    return VisionlineOptions.model_validate(given | changes)


def an_order(**changes: Any) -> VisionlineOrder:
    given: dict[str, Any] = {
        "guest_doors": (ROOM,),
        "common_doors": (SHARED,),
        "starts_at": STARTS,
        "ends_at": ENDS,
        "function": "guest",
        "joining": "override",
        "card_format": "rfid48",
        "holder": GUEST,
        "number": None,
    }
    return VisionlineOrder(**given | changes)


def local(order: VisionlineOrder | None = None, **changes: Any) -> LocalOrder:
    return LocalOrder.of(order or an_order(), options(**changes))


class Journal:
    """What the agent keeps of a job between tries: the note of its order, and the cards that were bound."""

    def __init__(self) -> None:
        self.noted: OrderNote | None = None
        self.notes: list[OrderNote | None] = []
        self.bound: list[FoundCard] = []
        self.refusal: EncoderError | None = None

    def note(self, note: OrderNote | None) -> None:
        self.noted = note
        self.notes.append(note)

    def bind(self, found: FoundCard) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.bound.append(found)

    def request(self, order: VisionlineOrder | None = None, *, insists: bool = False) -> EncodeRequest:
        return EncodeRequest(order or an_order(), self.bind, note=self.note, noted=self.noted, insists=insists)

    @property
    def stages(self) -> list[str | None]:
        return [note.stage if note else None for note in self.notes]


class MemoryServer:
    """See `Server`. `fails` is what becomes of the next order; `is_away` says that nothing can be asked."""

    def __init__(self) -> None:
        self.cards: list[dict[str, Any]] = []
        self.images: dict[str, str] = {}
        self.fails = ""
        self.is_away = False
        self.gives_image_again = True
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.orders: list[tuple[dict[str, str], dict[str, Any]]] = []
        """Those that were carried out."""
        self.late: Callable[[], object] | None = None
        self.doors: Any = [{"doorName": ROOM}, {"doorName": SHARED}]
        self.spoils: Callable[[str], str | None] = lambda image: image

    def time_passes(self, seconds: float = 0.0) -> None:
        """What is carried out late, is by now."""
        late, self.late = self.late, None
        if late is not None:
            late()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        self.asked.append((path, dict(query or {})))
        if self.is_away:
            raise NotReached("The server can't be reached.")
        if path == "/api/v1/doors":
            return self.doors
        if path != "/api/v1/cards":
            (card,) = [c for c in self.cards if c["id"] == path.removeprefix("/api/v1/cards/")]
            return card | ({"encryptedImage": self.images[card["id"]]} if self.gives_image_again else {})
        match dict(query or {}):
            case {"serialNumber": serial}:
                return [c for c in self.cards if serial.lower() in c["serialNumbers"]]
            case {"guestDoor": door, "validTime": at}:
                return [
                    c
                    for c in self.cards
                    if any(door in part["doors"] for part in c["doorOperations"])
                    and c["startTime"] <= at < c["expireTime"]
                ]
        raise AssertionError(query)

    def order(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any], timeout_s: float | None = None
    ) -> Any:
        assert path == "/api/v1/cards"
        fails, self.fails = self.fails, ""
        match fails:
            case "not reached":
                raise NotReached("The server can't be reached.")
            case "refused":
                raise Refused("Visionline refused what was asked (409).", status=409, code=40901)
            case "lost before":
                raise Unanswered("The server did not answer.")
            case "lost after":
                self.carry_out(query, body)
                raise Unanswered("The server did not answer.")
            case "late":
                self.late = lambda: self.carry_out(query, body)
                raise Unanswered("The server did not answer.")
        card = self.carry_out(query, body)
        if query.get("pendingImage") != "true":
            return card
        return card | {"encryptedImage": self.spoils(self.images[card["id"]])}

    def carry_out(self, query: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        """As the card object of fake-seam-connect has it; the serial numbers with ff, in lower case."""
        serials = [serial.lower().removesuffix("ff") + "ff" for serial in body.get("serialNumbers", [UID.upper()])]
        for card in self.cards:
            if query.get("override") == "true" and doors_of(card) & doors_of(body):
                card["overridden"] = True
            if set(card["serialNumbers"]) & set(serials):
                card["overwritten"] = True
        number = 100001 + len(self.cards)
        card = {
            "id": str(number),
            "credentialID": number,
            "uniqueRegistrationNumber": number,
            "serialNumbers": serials,
            "doorOperations": body["doorOperations"],
            "startTime": body["startTime"],
            "expireTime": body["expireTime"],
            "format": body["format"],
            "cardHolder": body.get("cardHolder", ""),
            "created": "20400504T1500",
            "numberOfIssuedCards": 1,
            "notIssued": False,
            **dict.fromkeys(
                ("cancelled", "discarded", "expired", "overridden", "overwritten", "pendingAutoUpdate"), False
            ),
        }
        self.cards.append(card)
        self.images[card["id"]] = (hashlib.sha256(card["id"].encode()).hexdigest() * 2)[:96].upper()
        self.orders.append((dict(query), dict(body)))
        return card

    @property
    def overrides(self) -> int:
        return sum(query.get("override") == "true" for query, _ in self.orders)


def doors_of(card: Mapping[str, Any]) -> set[str]:
    return {door for part in card["doorOperations"] if part["operation"] == "guest" for door in part["doors"]}
