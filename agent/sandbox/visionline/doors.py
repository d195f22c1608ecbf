"""The property's doors. What is documented of them is doorID, doorName, doorGroup, doorType and online."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from agent.sandbox.building import Hotel


@dataclass(frozen=True)
class Door:
    """A door. Guest rooms are consecutive in the order in which the server lists them."""

    name: str
    kind: Literal["guest", "common"] = "guest"

    def body(self, number: int, *, details: bool) -> dict[str, Any]:
        """What is told of it. Which members come only with the details is believed."""
        brief = {"doorID": str(number), "doorName": self.name}
        more = {"doorGroup": f"{self.kind} doors", "doorType": self.kind, "online": False}
        return brief | more if details else brief


def hotel_doors() -> tuple[Door, ...]:
    """The doors of the sample hotel that its rooms' system has, by the names that the credential service gives."""
    told = [door.get("visionline_metadata") for door in Hotel(datetime.now(UTC)).doors.values()]
    return tuple(Door(door["door_name"], door["door_category"]) for door in told if door)


def longest_run(names: Iterable[str], doors: Mapping[str, Door]) -> int:
    """How many of these guest rooms at most lie side by side."""
    places = {name: place for place, name in enumerate(n for n, door in doors.items() if door.kind == "guest")}
    longest = length = 0
    before = -2
    for place in sorted(places[name] for name in names):
        length = length + 1 if place == before + 1 else 1
        longest, before = max(longest, length), place
    return longest
