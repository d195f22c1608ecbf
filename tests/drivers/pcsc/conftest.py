from collections.abc import Iterator

import pytest

from drivers.pcsc.driver import PcscEncoder, PcscOptions
from drivers.pcsc.simulator import SimulatedCard
from drivers.virtual.cards import VirtualClassic, VirtualType2
from tests.rig.cards import fresh_card, memory_of, text_on
from tests.rig.pcscd import Pcscd

ACR122U = 4
"""From this position on the rig's readers are called as one is."""


class RigFeeder:
    """Puts virtual cards into one of the rig's readers."""

    def __init__(self, pcscd: Pcscd, kind: str, reader: int) -> None:
        self.kind = kind
        self._pcscd = pcscd
        self._reader = reader
        self._cards: dict[str, VirtualType2 | VirtualClassic] = {}
        self.lying: SimulatedCard | None = None

    def put(self) -> str:
        card = fresh_card(self.kind)
        uid = card.uid().hex()
        self._cards[uid] = card
        self.put_again(uid)
        return uid

    def put_again(self, uid: str) -> None:
        self.lying = SimulatedCard(self._cards[uid], acr122u=self._reader >= ACR122U)
        self._pcscd.put(self.lying, self._reader)

    def take(self) -> None:
        self._pcscd.take(self._reader)

    def holds(self, uid: str) -> str | None:
        return text_on(self._cards[uid])

    def memory(self, uid: str) -> bytes | None:
        return memory_of(self.card(uid))

    def card(self, uid: str) -> VirtualType2 | VirtualClassic:
        return self._cards[uid]


@pytest.fixture
def reader(pcscd: Pcscd) -> int:
    """One of the rig's readers, by its position."""
    return pcscd.empty_reader()


@pytest.fixture
def kind() -> str:
    return "NTAG213"


@pytest.fixture
def feeder(pcscd: Pcscd, kind: str, reader: int) -> RigFeeder:
    return RigFeeder(pcscd, kind, reader)


@pytest.fixture
def encoder(pcscd: Pcscd, reader: int) -> Iterator[PcscEncoder]:
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=2))
    encoder.open()
    yield encoder
    encoder.close()
