"""The few PC/SC calls that the driver makes, typed, with failures as exceptions instead of numbers to compare.

pyscard's raw functions are used, not its classes: those reset cards on disconnect, lose events in their monitor thread
and keep dead contexts after pcscd restarts (pyscard issues 27, 64, 82, 128).
"""

from __future__ import annotations

from dataclasses import dataclass

from smartcard import scard

PNP = "\\\\?PnP?\\Notification"
"""The pseudo-reader whose state changes when a reader comes or goes."""

FOREVER: int = scard.INFINITE
EMPTY: int = scard.SCARD_STATE_EMPTY
PRESENT: int = scard.SCARD_STATE_PRESENT
EXCLUSIVE: int = scard.SCARD_STATE_EXCLUSIVE
IN_USE: int = scard.SCARD_STATE_INUSE
MUTE: int = scard.SCARD_STATE_MUTE

PROTOCOLS = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1

CANCELLED = 0x80100002
UNKNOWN_READER = 0x80100009
TIMEOUT = 0x8010000A
SHARING_VIOLATION = 0x8010000B
NO_SMARTCARD = 0x8010000C
NOT_TRANSACTED = 0x80100016
READER_UNAVAILABLE = 0x80100017
NO_READERS = 0x8010002E
UNRESPONSIVE_CARD = 0x80100066
UNPOWERED_CARD = 0x80100067
RESET_CARD = 0x80100068
REMOVED_CARD = 0x80100069

SERVICE_GONE = frozenset(
    {
        0x80100003,  # invalid handle: pcscd restarted and knows nothing of ours
        0x80100013,  # communication error: the socket broke
        0x8010001D,  # no service
        0x8010001E,  # service stopped
        0x80100014,  # unknown error, as seen while pcscd stops
        0x80100001,  # internal error, likewise
    }
)
"""pcscd is not there, or not the one that the context was made with: establish again."""

READER_GONE = frozenset({UNKNOWN_READER, READER_UNAVAILABLE, NO_READERS})
CARD_GONE = frozenset({NO_SMARTCARD, NOT_TRANSACTED, UNPOWERED_CARD, REMOVED_CARD})


class PcscError(Exception):
    """A PC/SC call failed. `code` is the unsigned result, 80100069h for a removed card."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: {code:08X}h {_text(code)}")
        self.code = code


def _text(code: int) -> str:
    return str(scard.SCardGetErrorMessage(code)).strip().rstrip(".")


def _check(call: str, result: int) -> None:
    if result != scard.SCARD_S_SUCCESS:
        raise PcscError(call, result & 0xFFFFFFFF)


@dataclass(frozen=True)
class ReaderState:
    """A reader's state: the flags of SCARD_READERSTATE, its event counter (`state >> 16`), the card's ATR."""

    flags: int
    counter: int
    atr: bytes

    @property
    def card(self) -> bool:
        """Whether a card lies there."""
        return bool(self.flags & PRESENT)

    @property
    def reader_gone(self) -> bool:
        """Whether the reader went away during the wait."""
        return bool(self.flags & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE))

    @property
    def as_known(self) -> int:
        """What to hand back to the next wait, so that it returns only for news.

        Without the flags on who uses the reader: those come and go with our own connections.
        """
        return self.counter << 16 | self.flags & (EMPTY | PRESENT | MUTE)


class Context:
    """A connection to pcscd. One serves one thread at a time: pcscd locks it for the length of a call.

    Raises:
        PcscError: pcscd isn't there.
    """

    def __init__(self) -> None:
        result, self._handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        _check("SCardEstablishContext", result)

    def release(self) -> None:
        """Give it back. Never fails: a dead pcscd has released it already."""
        scard.SCardReleaseContext(self._handle)

    def readers(self) -> list[str]:
        """The readers' names; empty where there is none."""
        result, names = scard.SCardListReaders(self._handle, [])
        if result & 0xFFFFFFFF == NO_READERS:
            return []
        _check("SCardListReaders", result)
        return list(names)

    def wait(self, known: dict[str, int], timeout_ms: int) -> dict[str, ReaderState]:
        """Block until a reader's state differs from the known one (0: unknown), or the time is up.

        Raises:
            PcscError: TIMEOUT, CANCELLED, a reader that isn't known, or pcscd going away.
        """
        result, states = scard.SCardGetStatusChange(self._handle, timeout_ms, list(known.items()))
        _check("SCardGetStatusChange", result)
        return {name: ReaderState(state & 0xFFFF, state >> 16 & 0xFFFF, bytes(atr)) for name, state, atr in states}

    def state(self, reader: str) -> ReaderState:
        """A reader's state now."""
        return self.wait({reader: 0}, 0)[reader]

    def cancel(self) -> None:
        """Make a `wait` in another thread return. Lost where none is in progress yet."""
        scard.SCardCancel(self._handle)

    def connect(self, reader: str, *, direct: bool = False) -> Card:
        """Connect to the card in a reader, shared with others; with `direct` to the reader itself, card or no card."""
        mode = scard.SCARD_SHARE_DIRECT if direct else scard.SCARD_SHARE_SHARED
        result, handle, protocol = scard.SCardConnect(self._handle, reader, mode, 0 if direct else PROTOCOLS)
        _check("SCardConnect", result)
        return Card(handle, protocol)


class Card:
    """A connection to a card, or to a bare reader."""

    def __init__(self, handle: int, protocol: int) -> None:
        self._handle = handle
        self._protocol = protocol

    def begin(self) -> None:
        """Keep other processes off the card; blocks while another one does."""
        _check("SCardBeginTransaction", scard.SCardBeginTransaction(self._handle))

    def end(self) -> None:
        """Let others at the card again, which stays powered as it is."""
        scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)

    def transmit(self, apdu: bytes) -> bytes:
        """Exchange one APDU. An empty answer means that the card left in between (seen with vpcd)."""
        result, answer = scard.SCardTransmit(self._handle, self._protocol, list(apdu))
        _check("SCardTransmit", result)
        return bytes(answer)

    def attribute(self, attribute: int) -> bytes | None:
        """A reader attribute, None where the reader hasn't got it."""
        result, value = scard.SCardGetAttrib(self._handle, attribute)
        return bytes(value) if result == scard.SCARD_S_SUCCESS else None

    def reset(self) -> None:
        """Connect anew with a reset of the card. Resetting heals where another process did; leaving it does not."""
        result, self._protocol = scard.SCardReconnect(
            self._handle, scard.SCARD_SHARE_SHARED, PROTOCOLS, scard.SCARD_RESET_CARD
        )
        _check("SCardReconnect", result)

    def disconnect(self) -> None:
        """Let go of the card without resetting it for others."""
        scard.SCardDisconnect(self._handle, scard.SCARD_LEAVE_CARD)
