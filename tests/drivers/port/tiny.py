"""The smallest driver that does all that a driver over a line has to do, and its device: to try the port room with.

A message is `<` + text + check + CR, the check being the XOR of the text's bytes as two hex digits. `U` asks for the
UID, `R` reads the card, `W...` writes it and is answered by `K`.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.content import CardNumber
from drivers.encoder import Capabilities, CardState, Encoder, EncodeRequest, EncodeResult, FoundCard, Options
from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline, EncodingInterrupted
from drivers.port import Port, PortOptions, open_port


def framed(text: bytes) -> bytes:
    check = 0
    for byte in text:
        check ^= byte
    return b"<" + text + f"{check:02X}\r".encode()


class TinyDevice:
    """With a card that stays."""

    def __init__(self) -> None:
        self.card = b""
        self._send: Callable[[bytes], None]
        self._came = b""

    def connected(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._came = b""

    def received(self, data: bytes) -> None:
        self._came += data
        while b"\r" in self._came:
            message, _, self._came = self._came.partition(b"\r")
            text = message[message.rfind(b"<") + 1 : -2]
            if message.endswith(framed(text)[:-1]):
                self._answer(text)

    def _answer(self, text: bytes) -> None:
        if text == b"U":
            self._send(framed(b"04a1b2c3"))
        elif text == b"R":
            self._send(framed(self.card))
        elif text[:1] == b"W":
            self.card = text[1:]
            self._send(framed(b"K"))


class TinyOptions(PortOptions):
    timeout_s: float = 0.06


class TinyEncoder(Encoder):
    options_model = TinyOptions
    tries = 2

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        assert isinstance(options, TinyOptions)
        self._port_name, self._timeout_s = options.port, options.timeout_s
        self._port: Port | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(contents=frozenset({CardNumber}), media=("tiny",))

    def open(self) -> None:
        self._port = open_port(self._port_name, baud=9600)

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def wait_for_card(self) -> bool:
        return True

    def wait_for_removal(self) -> bool:
        return True

    def scan(self) -> FoundCard:
        uid, number = self._ask_again(b"U"), self._ask_again(b"R")
        state = CardState.NUMBER if number else CardState.BLANK
        return FoundCard(uid.decode(errors="replace"), "tiny", state, number.decode(errors="replace"))

    def encode(self, request: EncodeRequest) -> EncodeResult:
        found = self.scan()
        request.bind(found)
        assert isinstance(request.content, CardNumber)
        number = request.content.value
        try:
            self._ask(b"W" + number.encode())
            written = self._ask_again(b"R")
        except (EncoderCommunicationTimeout, EncoderNotOnline) as error:
            raise EncodingInterrupted("Not read back.") from error
        if written != number.encode():
            raise EncodingInterrupted("It holds something else.")
        return EncodeResult(found.uid, "tiny", number, "read_back", 1)

    def _ask_again(self, text: bytes) -> bytes:
        for _ in range(self.tries - 1):
            try:
                return self._ask(text)
            except EncoderCommunicationTimeout:
                continue
        return self._ask(text)

    def _ask(self, text: bytes) -> bytes:
        if self._port is None:
            raise EncoderNotOnline("Not open.")
        self._port.discard(quiet_s=0.01)
        self._port.write(framed(text))
        answer = self._port.read_until(b"\r", self._timeout_s)
        if len(answer) < 4 or framed(answer[1:-3]) != answer:
            raise EncoderCommunicationTimeout("Wrong check.")
        return answer[1:-3]
