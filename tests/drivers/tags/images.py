"""Images on cards: a request for one, what came of it, and what it makes of a card's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.conformance.images import ImageMaker
from drivers.encoder import EncodeResult
from drivers.tags import TagOptions, encode_tag
from drivers.virtual.cards import VirtualType2
from tests.drivers.tags.rig import OLD, Card, Desk, new_card, tag

ROOM = {
    "Ultralight": 48,
    "Ultralight EV1": 48,
    "Ultralight EV1 128": 128,
    "NTAG213": 144,
    "NTAG215": 504,
    "NTAG216": 888,
}
"""User memory in bytes, from page 4 on (NXP data sheets MF0ICU1, MF0ULX1, NTAG213/215/216)."""


def some_image(size: int, seed: int = 0) -> bytes:
    """So many bytes, no page of which is zero, or like that of another seed in its place."""
    return bytes((7 * place + 41 * seed) % 251 + 1 for place in range(size))


def write(card: Card, image: bytes, *, least: int = 24, making: Callable[[], object] = lambda: None) -> EncodeResult:
    """Have this image made for the card, and written."""
    return encode_tag(tag(card), TagOptions(), ImageMaker(image, least, making).request())


def type2(kind: str, *, formatted: bool = False) -> VirtualType2:
    card = new_card(kind, formatted=formatted)
    assert isinstance(card, VirtualType2)
    return card


def with_image(card: Card, image: bytes) -> bytes:
    """All of the card's memory, once this image is on it and nothing else is changed."""
    memory = bytes(card.memory)
    return memory[:16] + image + memory[16 + len(image) :]


def written_pages(card: Card) -> list[int]:
    return [operation.number for operation in card.operations if operation.name == "write"]


def pages_to_write(held: bytes, image: bytes) -> list[int]:
    """Which pages it takes to make this image of the memory, in ascending order: those that differ."""
    return [4 + place // 4 for place in range(0, len(image), 4) if held[16 + place :][:4] != image[place : place + 4]]


@dataclass(frozen=True)
class Case:
    """A card before an image is written on it, and the image's length."""

    kind: str
    size: int
    before: str = "as delivered"

    def __str__(self) -> str:
        return f"{self.size} bytes on {self.kind}, {self.before}"

    @property
    def image(self) -> bytes:
        return some_image(self.size)

    def card(self) -> VirtualType2:
        card, image, room = type2(self.kind), self.image, ROOM[self.kind]
        match self.before:
            case "with a number":
                card = type2(self.kind, formatted=True)
                Desk().encode(card, OLD)
            case "with another image":
                self._put(card, some_image(self.size, seed=1))
            case "with a longer image":
                self._put(card, some_image(room, seed=1))
            case "full of ones":
                self._put(card, b"\xff" * room)
            case "with the image but for the first page":
                self._put(card, bytes(4) + image[4:])
            case "with the image but for the last page":
                self._put(card, image[:-4] + bytes(4))
            case "with the image but for two pages":
                self._put(card, image[:4] + bytes(4) + image[8:-4] + bytes(4))
            case "with the image":
                self._put(card, image)
        return card

    @staticmethod
    def _put(card: VirtualType2, data: bytes) -> None:
        card.memory[16 : 16 + len(data)] = data
