import os
from collections.abc import Iterator

import ndef
import pytest

from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.field import TagInField, Type2InField
from drivers.nfc.simulator import Pn532
from drivers.nfc.type4 import Type4InField
from drivers.port.simulated import Line
from drivers.virtual.cards import VirtualType2
from tests.rig.cards import fresh_card, memory_of, text_on

TYPE4 = "Type 4"


def text_in(message: bytes) -> str | None:
    """The text of an NDEF message's first record, as ndeflib reads it."""
    record = next(ndef.message_decoder(message), None)
    return record.text if isinstance(record, ndef.TextRecord) else None


def fresh_tag(kind: str) -> TagInField:
    if kind == TYPE4:
        return Type4InField(b"\x04" + os.urandom(6))
    card = fresh_card(kind)
    assert isinstance(card, VirtualType2)
    return Type2InField(card)


def text_of(tag: TagInField) -> str | None:
    """What it holds, by other means than the driver."""
    if isinstance(tag, Type4InField):
        return text_in(tag.message())
    assert isinstance(tag, Type2InField)
    assert isinstance(tag.memory, VirtualType2)
    return text_on(tag.memory)


class FieldFeeder:
    """Lays tags into the simulated reader's field."""

    def __init__(self, reader: Pn532, kind: str) -> None:
        self._reader = reader
        self._kind = kind
        self._tags: dict[str, TagInField] = {}

    def put(self) -> str:
        return self.lay(fresh_tag(self._kind))

    def lay(self, tag: TagInField) -> str:
        uid = tag.uid().hex()
        self._tags[uid] = tag
        self._reader.put(tag)
        return uid

    def put_again(self, uid: str) -> None:
        self._reader.put(self._tags[uid])

    def take(self) -> None:
        self._reader.take()

    def holds(self, uid: str) -> str | None:
        return text_of(self._tags[uid])

    def memory(self, uid: str) -> bytes | None:
        tag = self._tags[uid]
        return None if isinstance(tag, Type4InField) else memory_of(self.card(uid))

    def card(self, uid: str) -> VirtualType2:
        tag = self._tags[uid]
        assert isinstance(tag, Type2InField)
        assert isinstance(tag.memory, VirtualType2)
        return tag.memory


@pytest.fixture
def kind() -> str:
    return "NTAG213"


@pytest.fixture
def reader() -> Pn532:
    return Pn532()


@pytest.fixture
def line(reader: Pn532) -> Iterator[Line]:
    with Line.pty(reader) as line:
        reader.listen_to(line)
        yield line


@pytest.fixture
def feeder(reader: Pn532, kind: str) -> FieldFeeder:
    return FieldFeeder(reader, kind)


@pytest.fixture
def encoder(line: Line) -> Iterator[NfcEncoder]:
    encoder = NfcEncoder("Front desk", NfcOptions(port=line.port, timeout_s=3))
    encoder.open()
    yield encoder
    encoder.close()
