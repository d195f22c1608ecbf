"""The server's own encoders ("Network RFID encoder"): a tray each, on which people lay cards."""

from __future__ import annotations

import threading

from drivers.virtual.cards import VirtualType2, factory

_FIRST_PAGE = 4
_PAGE = 4
_PAGES = {
    "Ultralight": 12,
    "Ultralight EV1": 12,
    "Ultralight EV1 128": 32,
    "NTAG213": 36,
    "NTAG215": 126,
    "NTAG216": 222,
}
"""Pages of user memory (NXP's data sheets)."""


class NetworkEncoder:
    """One encoder. `online` may be set at any time. Thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.online = True
        self.waited_for = threading.Event()
        """Whether an order has asked for a card, so that whoever is to lay one there can wait for that."""
        self._changed = threading.Condition()
        self._card: VirtualType2 | None = None
        self._made = 0
        self._closing = False

    def put(self, card: VirtualType2 | None = None) -> VirtualType2:
        """Lay this card on the tray, or a new Ultralight EV1."""
        with self._changed:
            if card is None:
                self._made += 1
                made = factory("Ultralight EV1", bytes.fromhex(f"04{0xE0C0DE000000 + self._made:012x}"))
                assert isinstance(made, VirtualType2)
                card = made
            self._card = card
            self._changed.notify_all()
            return card

    def take(self) -> VirtualType2 | None:
        """Take away what lies there."""
        with self._changed:
            card, self._card = self._card, None
            return card

    def wait_for_card(self, patience_s: float) -> VirtualType2 | None:
        """The card that lies there, or that somebody lays there in this time."""
        with self._changed:
            self.waited_for.set()
            self._changed.wait_for(lambda: self._card is not None or self._closing, patience_s)
            return self._card

    def close(self) -> None:
        """Whoever waits, waits no longer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()


def room_on(card: VirtualType2) -> int:
    """The card's user memory in bytes."""
    return _PAGES[card.kind] * _PAGE


def user_memory(card: VirtualType2) -> bytes:
    """What the card holds, from the first byte of user memory on."""
    start = _FIRST_PAGE * _PAGE
    return bytes(card.memory[start : start + room_on(card)])


def write(card: VirtualType2, data: bytes) -> None:
    """Put an image on the card."""
    padded = data + bytes(-len(data) % _PAGE)
    for place in range(0, len(padded), _PAGE):
        card.write(_FIRST_PAGE + place // _PAGE, padded[place : place + _PAGE])
