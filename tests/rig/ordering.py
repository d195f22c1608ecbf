"""A vendor's server that makes keys to order, and encoders that order of it, as scripts.

`Carded` writes what the server made on a card whose UID it knows, as an image goes on by a card driver of ours. With
`Native` the server's own encoder writes it, which sees no card. Both note what they order, as the drivers of such
systems have to, and ask the server afterwards where it can be asked.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any, ClassVar, cast

from drivers.content import Content, KeyOrder, Order, ServiceOrder, VisionlineOrder
from drivers.encoder import (
    Capabilities,
    CardState,
    Encoder,
    EncodeRequest,
    EncodeResult,
    FoundCard,
    Options,
    OrderNote,
)
from drivers.errors import (
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.steps import step

PLACE = __name__
CHIP = "chip"


@dataclass
class Made:
    """A key as the server has it. `serial` is the UID of the card that it is for, where it has one."""

    card_id: str
    order: Order
    serial: str
    void: bool = False


@dataclass
class Server:
    """What was ordered of it, each once; and `faults`, what becomes of the next orders."""

    made: list[Made] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    file: Path | None = None
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def overrides(self) -> int:
        """How many orders voided what the guests before had."""
        return sum(isinstance(m.order, VisionlineOrder) and m.order.joining == "override" for m in self.made)

    def order(self, order: Order, serial: str) -> Made:
        """Faults: refused, unfit, unheard (it never came here), unanswered (it was carried out all the same)."""
        fault = self.faults.popleft() if self.faults else ""
        if fault == "refused":
            raise Refused("The vendor's server refuses the order.")
        if fault == "unfit":
            raise Unencodable("The vendor's server knows no such door.")
        if fault == "unheard":
            raise Unanswered
        made = self.put(order, serial)
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps([made.card_id, serial]) + "\n")
        if fault == "unanswered":
            raise Unanswered
        return made

    def put(self, order: Order, serial: str) -> Made:
        """Have it made, by whomever."""
        made = Made(f"k{next(self._ids)}", order, serial)
        self.made.append(made)
        return made

    def of(self, serial: str) -> list[Made]:
        """The keys that were made for this card and open something, the newest last."""
        return [made for made in self.made if made.serial == serial and not made.void]


SERVERS: dict[str, Server] = {}
"""By name: they outlive the agents that order of them."""


class Unanswered(Exception):
    """No answer came."""


class Refused(IncompatibleCardFormat):
    """Clearly, before anything was carried out."""


class Undecided(EncodingInterrupted):
    """What became of the order, only a person can find out."""

    retry_on_same_card = False
    default_next_step = (
        "See at the server whether the key was made; `card-encoder encode ID --overwrite` orders it again."
    )


@dataclass
class Chip:
    """A card with a UID, and what is on it."""

    uid: str
    image: str = ""


class OrderingOptions(Options):
    """`number` is what the server calls a key: {n} is its id, {uid} the card's."""

    server: str = "main"
    made: Path | None = None
    number: str = "{uid}"
    takes: str = "visionline"
    recalls: bool = True
    trusts: bool = False
    """It takes a card for its own that it has ordered a key for, whatever came after."""
    careless: bool = False
    """It orders before it has bound its card."""
    pause_s: float = 0.02


class Ordering(Encoder):
    """What they have in common."""

    options_model = OrderingOptions
    ways: ClassVar[dict[str, type[Content]]] = {
        "visionline": VisionlineOrder,
        "service": ServiceOrder,
        "keys": KeyOrder,
    }

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self.script = cast(OrderingOptions, options)
        self.requests: list[EncodeRequest] = []
        self.faults: deque[str] = deque()
        """What goes wrong at the card, each once: torn, gone, unfit, undecided, broken."""

    @property
    def server(self) -> Server:
        return SERVERS.setdefault(self.script.server, Server(file=self.script.made))

    def open(self) -> None: ...

    def close(self) -> None: ...

    def _fault(self, *kinds: str) -> str | None:
        return self.faults.popleft() if self.faults and self.faults[0] in kinds else None

    def _ordered(self, request: EncodeRequest, uid: str) -> tuple[Made, str]:
        """The key that was ordered, and its image: ordered now only where that was not done before."""
        order = cast(Order, request.content)
        about = hashlib.sha256(repr(order).encode()).hexdigest()
        noted = request.noted
        if noted is not None and noted.facts["serial_number"] == uid and noted.facts["order"] == about:
            if noted.stage == "answered":
                return self._by_id(noted.facts["card_id"]), noted.image or "the same image"
            before = noted.facts["before"]
            new = [made for made in self.server.of(uid) if made.card_id not in before and made.order == order]
            if new and self.script.recalls:
                return new[-1], self._answered(request, noted.facts, new[-1])
            if not self.script.recalls and not request.insists:
                raise Undecided("It was ordered, and no answer came.")
        elif noted is not None and not request.insists:
            raise Undecided("Something else was ordered before.")
        facts: dict[str, Any] = {
            "serial_number": uid,
            "order": about,
            "before": [m.card_id for m in self.server.of(uid)],
        }
        request.note(OrderNote("asked", facts))
        try:
            with step("request.visionline_order"):
                made = self.server.order(order, uid)
        except (Refused, Unencodable):
            request.note(None)
            raise
        except Unanswered:
            raise Undecided("The server did not answer.") from None
        return made, self._answered(request, facts, made)

    def _answered(self, request: EncodeRequest, facts: Any, made: Made) -> str:
        image = hashlib.sha256(made.card_id.encode()).hexdigest()
        request.note(OrderNote("answered", {**facts, "card_id": made.card_id}, image))
        return image

    def _by_id(self, card_id: str) -> Made:
        return next(made for made in self.server.made if made.card_id == card_id)

    def _number(self, made: Made) -> str:
        return self.script.number.format(n=made.card_id, uid=made.serial)


class Carded(Ordering):
    """On cards that lie there. What the server has of one is looked at first, as what is on it can't be read."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._card: Chip | None = None
        self._changed = Condition()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(frozenset({self.ways[self.script.takes]}), (CHIP,))

    def put(self, card: Chip) -> Chip:
        with self._changed:
            self._card = card
            self._changed.notify_all()
        return card

    def take(self) -> None:
        with self._changed:
            self._card = None
            self._changed.notify_all()

    def interrupt(self) -> None:
        super().interrupt()
        with self._changed:
            self._changed.notify_all()

    def _wait(self, there: bool) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: (self._card is not None) is there or self._interrupted.is_set())
            interrupted = (self._card is not None) is not there
            self._interrupted.clear()
            return not interrupted

    def wait_for_card(self) -> bool:
        return self._wait(True)

    def wait_for_removal(self) -> bool:
        return self._wait(False)

    def encode(self, request: EncodeRequest) -> EncodeResult:
        self.requests.append(request)
        if self.script.careless:
            request.note(OrderNote("asked", {}))
        card = self._lying()
        own = request.noted.facts if request.noted else {}
        request.bind(self._look(card, own))
        made, image = self._ordered(request, card.uid)
        if self._fault("gone"):
            raise NoCredentialOnEncoder("The card was taken away.")
        if self._fault("broken"):
            raise KeyError("a bug")
        with step("card.exchange"):
            card.image = ""
            if self._fault("torn"):
                raise EncodingInterrupted("The card was taken away.")
            card.image = image
        return EncodeResult(card.uid, CHIP, self._number(made), "read_back", 1)

    def scan(self) -> FoundCard:
        return self._look(self._lying(), {})

    def _lying(self) -> Chip:
        with self._changed:
            if self._card is None:
                raise NoCredentialOnEncoder("No card lies there.")
            return self._card

    def _look(self, card: Chip, own: Any) -> FoundCard:
        found = FoundCard(card.uid, CHIP, CardState.FOREIGN if card.image else CardState.BLANK)
        known = [made for made in self.server.made if made.serial == card.uid]
        if not known:
            return found
        last = (self.server.of(card.uid) or known)[-1]
        vendor = {"card_id": last.card_id, "cancelled": last.void, "expired": False}
        is_own = own and (last.card_id == own.get("card_id") or self.script.trusts)
        if own and "card_id" not in own:
            is_own = last.card_id not in own["before"]
        if is_own:
            return FoundCard(card.uid, CHIP, found.state, vendor=vendor)
        return FoundCard(card.uid, CHIP, CardState.NUMBER, self._number(last), live=not last.void, vendor=vendor)


class Native(Ordering):
    """By the server's own encoder: whatever card lies there, it says nothing of it. Somebody has to be there."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            frozenset({self.ways[self.script.takes]}),
            (CHIP,),
            verified_by="vendor_answer",
            scans=self.script.takes != "visionline",
            uids=False,
            presence=False,
            recalls=self.script.recalls,
        )

    def wait_for_card(self) -> bool:
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def wait_for_removal(self) -> bool:
        interrupted = self._interrupted.wait(self.script.pause_s)
        self._interrupted.clear()
        return not interrupted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        self.requests.append(request)
        request.bind(FoundCard("", CHIP, CardState.BLANK))
        if self._fault("unfit"):
            raise Unencodable("The vendor's server knows no such door.")
        made, _ = self._ordered(request, "")
        reported = isinstance(request.content, ServiceOrder)
        return EncodeResult("", CHIP, self._number(made), "vendor_answer", 1, reported=reported)

    def scan(self) -> FoundCard:
        raise NoCredentialOnEncoder("No card lies there.")


def orders_given(file: Path) -> list[str]:
    """The ids of the keys that were made, in order, where the server writes them down."""
    return [json.loads(line)[0] for line in file.read_text().splitlines()] if file.exists() else []
