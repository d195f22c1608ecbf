from __future__ import annotations

import pytest

from agent.sandbox.building import ROOMS
from agent.sandbox.visionline.doors import Door, hotel_doors, longest_run

DOORS = {
    door.name: door
    for door in (Door("101"), Door("102"), Door("Lift", "common"), Door("103"), Door("104"), Door("105"), Door("106"))
}


@pytest.mark.parametrize(
    ("rooms", "longest"),
    [
        ([], 0),
        (["104"], 1),
        (["104", "101"], 1),
        (["103", "102"], 2),
        (["106", "101", "105", "102", "104"], 3),
        (["101", "102", "103", "104", "105", "106"], 6),
    ],
)
def test_rooms_are_consecutive_as_the_server_lists_them(rooms: list[str], longest: int) -> None:
    assert longest_run(rooms, DOORS) == longest


def test_the_sample_hotels_doors_bear_the_names_that_the_service_gives_them() -> None:
    doors = {door.name: door.kind for door in hotel_doors()}
    assert doors == {f"Room {room}": "guest" for room in ROOMS} | {"Main entrance": "common", "Lift": "common"}
