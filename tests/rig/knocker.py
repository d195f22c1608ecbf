"""A serial device of nobody's make, with its drivers: one that works, and such as others may write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn, cast

from drivers.content import CardNumber
from drivers.encoder import Attached, Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options
from drivers.errors import EncoderError
from drivers.port import Port, PortOptions, open_port

PLACE = __name__
QUESTION, ANSWER = b"WHO\r", b"KNOCKER\r"


class Door:
    """The device: it says who it is, to those who ask in its way."""

    def __init__(self) -> None:
        self.heard = b""

    def connected(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def received(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith(QUESTION):
            self._send(ANSWER)


class Knocker(Encoder):
    """Has its port, and waits for a card that never comes."""

    options_model = PortOptions
    capabilities = Capabilities(contents=frozenset({CardNumber}), media=())
    _port: Port | None = None

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        line = None
        try:
            line = open_port(port, baud=9600)
            line.write(QUESTION)
            return Attached("Knocker 1.0", {"port": port}) if line.read_until(b"\r", 2) == ANSWER else None
        except EncoderError:
            return None
        finally:
            if line is not None:
                line.close()

    @property
    def device(self) -> str:
        return self._port.name if self._port is not None else ""

    def open(self) -> None:
        self._port = open_port(cast(PortOptions, self.options).port, baud=9600)

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def wait_for_card(self) -> bool:
        assert self._port is not None
        while not self._interrupted.is_set():
            self._port.read_some(None)
        self._interrupted.clear()
        return False

    def wait_for_removal(self) -> bool:
        raise AssertionError("no card ever comes")

    def encode(self, request: EncodeRequest) -> EncodeResult:
        raise AssertionError("no card ever comes")

    def scan(self) -> FoundCard:
        raise AssertionError("no card ever comes")

    def interrupt(self) -> None:
        super().interrupt()
        if (port := self._port) is not None:
            port.wake()


class OrdersOnly(Knocker):
    """Doesn't know whether a card lies there."""

    capabilities = Capabilities(contents=frozenset({CardNumber}), media=(), presence=False)


class Stranger(Knocker):
    """Asks, and knows nothing of the answer."""

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        return None


class Faulty(Knocker):
    """Breaks the promise that neither of these raises."""

    @classmethod
    def attached(cls) -> NoReturn:
        raise ZeroDivisionError("attached")

    @classmethod
    def probe(cls, port: str) -> NoReturn:
        raise ZeroDivisionError("probe")


class Endless(Knocker):
    """Never comes back from asking."""

    asked = 0

    @classmethod
    def probe(cls, port: str) -> NoReturn:
        cls.asked += 1
        threading.Event().wait()
        raise AssertionError("nobody ends this wait")


class Finder(Knocker):
    """Knows its devices by their numbers."""

    devices: tuple[str, ...] = ()

    @classmethod
    def attached(cls) -> list[Attached]:
        return [Attached(f"Knocker on {device}", {"port": device}) for device in cls.devices]


class UsbOptions(Options):
    port: str = ""


class UsbFinder(Finder):
    """Likewise, and they are on no serial port."""

    options_model = UsbOptions


class Mistaken(Finder):
    """Offers options that it doesn't take."""

    @classmethod
    def attached(cls) -> list[Attached]:
        return [Attached("/dev/somewhere", {"prot": "/dev/somewhere"})]
