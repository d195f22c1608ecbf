"""A card as the server keeps and tells it. The members of its body are those of fake-seam-connect's card object."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from agent.sandbox.visionline.orders import Way, serial_of
from agent.sandbox.visionline.times import PropertyTime

Made = Literal["override", "join", "first", "staff"]
"""What became of the order: it voided the cards before, joined them, found none there, or was for staff."""


@dataclass(frozen=True)
class Card:
    """A card, and what was ordered. Times are texts in the property's time; `uids` are bare.

    `image_length` in bytes is what its image had where one was made, so that it is made again alike.
    """

    number: int
    way: Way
    made: Made
    card_format: str
    starts: str
    expires: str
    created: str
    holder: str = field(repr=False)
    operations: tuple[tuple[str, tuple[str, ...]], ...] = field(repr=False)
    rooms: frozenset[str] = field(repr=False)
    uids: tuple[str, ...]
    image_length: int
    issued: int
    cancelled: bool = False
    discarded: bool = False
    overridden: bool = False
    overwritten: bool = False
    pending_auto_update: bool = False

    @property
    def is_void(self) -> bool:
        """Whether it opens nothing any more, whatever its time."""
        return self.cancelled or self.discarded or self.overridden or self.overwritten

    @property
    def doors(self) -> frozenset[str]:
        """All doors that it is for."""
        return frozenset(name for _, names in self.operations for name in names)

    def is_valid_at(self, moment: datetime, times: PropertyTime) -> bool:
        """Whether it opens its doors at this moment."""
        return not self.is_void and times.moment(self.starts) <= moment < times.moment(self.expires)

    def body(self, now: datetime, times: PropertyTime) -> dict[str, Any]:
        """What is told of it. That numbers and texts of an id are the same is fake-seam-connect's own guess.

        That an image which was given away counts as an issued card is believed.
        """
        return {
            "cancelled": self.cancelled,
            "cardHolder": self.holder,
            "created": self.created,
            "credentialID": self.number,
            "discarded": self.discarded,
            "doorOperations": [{"doors": list(names), "operation": name} for name, names in self.operations],
            "endpointId": "",
            "expired": now >= times.moment(self.expires),
            "expireTime": self.expires,
            "format": self.card_format,
            "id": str(self.number),
            "notIssued": self.issued == 0,
            "numberOfIssuedCards": self.issued,
            "overridden": self.overridden,
            "overwritten": self.overwritten,
            "pendingAutoUpdate": self.pending_auto_update,
            "serialNumbers": [serial_of(uid) for uid in self.uids],
            "startTime": self.starts,
            "uniqueRegistrationNumber": self.number,
        }

    def to_json(self) -> str:
        """All of it, to be kept."""
        return json.dumps(asdict(self) | {"rooms": sorted(self.rooms)})


def card_from_json(text: str) -> Card:
    """The card that `Card.to_json` kept."""
    kept = json.loads(text)
    kept["operations"] = tuple((name, tuple(names)) for name, names in kept["operations"])
    return Card(**kept | {"rooms": frozenset(kept["rooms"]), "uids": tuple(kept["uids"])})
