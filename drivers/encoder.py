"""The interface between the agent and anything that can put a credential on a card.

Drivers are plain blocking classes. The agent gives each encoder one thread of its own and calls every method from it,
except `interrupt`, which comes from other threads. A driver knows nothing of services, journals or desks: what it may
do to a card it learns from `EncodeRequest.bind`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from drivers.content import Content

VerifiedBy = Literal["read_back", "vendor_answer"]
Outcome = Literal["done", "failed"]


class CardState(StrEnum):
    """What the card holds, as far as the driver can tell before writing."""

    BLANK = "blank"
    """Nothing, or what a torn write left: it doesn't read as a finished card."""
    NUMBER = "number"
    """A card number in the layout that the encoder is configured with."""
    FOREIGN = "foreign"
    """Something that the driver can't read as a card number."""


@dataclass(frozen=True)
class FoundCard:
    """The card on the encoder, before anything is written.

    `uid` is lower-case hex without separators, empty only for media that have none (magstripe).
    `medium` is a name for people: "NTAG213", "MIFARE Classic 1K".

    `live`: the vendor's system has the card as a key that opens doors now. `vendor` is what else that says of it, as
    Seam's visionline_metadata of a card on an encoder.
    """

    uid: str
    medium: str
    state: CardState
    card_number: str | None = field(default=None, repr=False)
    live: bool = False
    vendor: Mapping[str, Any] | None = field(default=None, repr=False)


class Stage(StrEnum):
    """Where an encoding stands."""

    LOOKING = "looking"
    WRITING = "writing"
    VERIFYING = "verifying"


@dataclass(frozen=True)
class Progress:
    """How far one encoding has come: `done` of `total` steps (pages, blocks, tracks) of this stage.

    `prompt` is what the person at the desk has to do now, where the encoder waits for it: "Swipe the card."
    """

    stage: Stage
    done: int
    total: int
    prompt: str = ""


@dataclass(frozen=True)
class OrderNote:
    """What is known of an order to somebody else's system, so that it is not given again by mistake.

    `stage` is "asked" as long as no answer has come, and then "answered". `facts` tell the order and its answer again,
    as JSON: `card_id`, `credential_id`, `serial_number` and `image_sha256` by these names where there are such. They
    are kept, and stand in the audit trail: nothing secret, no guest and no door. `image` is what the answer brought to
    be written, in hex: it is kept until the card was verified, and shown nowhere.
    """

    stage: Literal["asked", "answered"]
    facts: Mapping[str, Any]
    image: str = field(default="", repr=False)


def _no_progress(_: Progress) -> None: ...


def _not_noted(_: OrderNote | None) -> None: ...


@dataclass(frozen=True)
class EncodeRequest:
    """One card's worth of work.

    `bind` is called once, after the driver has looked at the card and before it changes the first byte. It returns only
    when the intent to write this very card is on disk, and raises an `EncoderError` where the card must not be written;
    the driver lets that pass and leaves the card as it was. It is called too where the card already holds the content.
    `progress` may be called from the encoder's thread at any time and returns at once.

    A driver that gives an order to somebody else's system calls `note`, after `bind`, before the order goes out and
    again with its answer: it returns when that is on the disk. None takes it back where the order is known not to have
    been carried out. `noted` is what an earlier attempt at the same job noted. `insists`: a person, who knows that an
    order's fate is unknown, wants it given again.
    """

    content: Content
    bind: Callable[[FoundCard], None]
    progress: Callable[[Progress], None] = _no_progress
    note: Callable[[OrderNote | None], None] = _not_noted
    noted: OrderNote | None = None
    insists: bool = False


@dataclass(frozen=True)
class EncodeResult:
    """A card that was written and verified.

    `card_number` is what the card now says. `written` counts the pages, blocks or tracks that had to be changed.
    `reported`: the credential service had it encoded itself, and so knows of it already.
    """

    uid: str
    medium: str
    card_number: str = field(repr=False)
    verified_by: VerifiedBy
    written: int
    reported: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a driver offers."""

    contents: frozenset[type[Content]]
    media: tuple[str, ...]
    verified_by: VerifiedBy = "read_back"
    scans: bool = True
    signals: bool = False
    """Whether it has a light or a beeper of its own."""
    uids: bool = True
    """Whether it tells a card's UID. Magnetic stripes have none, and some vendors keep it to themselves."""
    presence: bool = True
    """Whether it tells that a card lies there, and when it is taken away. A swiped card is gone at once, and a vendor's
    encoder says nothing until it is given an order."""
    recalls: bool = False
    """Whether it can find out afterwards what became of an order that it noted."""


@dataclass(frozen=True)
class Attached:
    """A device that a driver found: its name for people, and the options that bind the driver to it."""

    device: str
    options: dict[str, Any]


@dataclass(frozen=True)
class ServiceAccess:
    """Where the credential service is that the agent works for. `api_key` reads the key anew each time.

    `api_key` raises a `ValueError` where there is none.
    """

    endpoint: str
    api_key: Callable[[], SecretStr]


class Options(BaseModel):
    """Base of every driver's options: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Encoder(ABC):
    """An encoder. Subclasses name their `Options` model in `options_model` and register under `card_encoder.drivers`.

    The agent calls, from one thread: `open`, then any number of `wait_for_card`, `encode`, `scan`, `signal` and
    `wait_for_removal`, then `close`. After `EncoderNotOnline` it calls `close`, `wait_for_device` and `open` again.
    """

    options_model: ClassVar[type[Options]] = Options
    unverified: ClassVar[tuple[str, ...]] = ()
    """What could not be checked against the real thing, a sentence each: `doctor` shows it. Such a driver is
    experimental."""

    @classmethod
    def attached(cls) -> list[Attached]:
        """The devices of this driver that are plugged in, as far as that can be told without speaking to strangers.

        Never raises: what can't be looked at isn't there.
        """
        return []

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        """Ask whatever is on this serial port (a path) whether it is one of this driver's; None where it isn't.

        It is asked in its own protocol, in a way that changes nothing. Never raises.
        """
        return None

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        self.service: ServiceAccess | None = None
        """Set by the agent before `open`, for encoders that the credential service drives itself."""
        self._interrupted = threading.Event()

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this encoder can do; fixed once it is open."""

    @property
    def device(self) -> str:
        """The device that is bound, for people: reader name, port, server. Empty while there is none."""
        return ""

    @abstractmethod
    def open(self) -> None:
        """Find and open the device.

        Raises:
            EncoderNotOnline: it isn't there, or is held by another process, which the message then names.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the device go. Never raises; may be called twice."""

    @abstractmethod
    def wait_for_card(self) -> bool:
        """Block until a card lies on the encoder: True. False after `interrupt`.

        Raises:
            EncoderNotOnline: the device went away.
        """

    @abstractmethod
    def wait_for_removal(self) -> bool:
        """Block until the card that `wait_for_card` announced is gone: True, even if another lies there by now.

        False after `interrupt`, with the card still there.

        Raises:
            EncoderNotOnline: the device went away.
        """

    @abstractmethod
    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Look at the card, bind it, write what differs, read everything back.

        Raises:
            EncoderError: any of the catalogue. `EncodingInterrupted` where bytes may have been changed and the end was
                not verified; any other type says that the card is as `bind` found it, or was left invalid.
        """

    @abstractmethod
    def scan(self) -> FoundCard:
        """Read the card without changing it.

        Raises:
            NoCredentialOnEncoder: no card lies there.
            EncoderError: others of the catalogue.
        """

    def signal(self, outcome: Outcome) -> None:  # noqa: B027 - optional on purpose: most encoders have no light
        """Show the outcome by light or sound where the device can. Never raises."""

    def wait_for_device(self, timeout: float) -> None:
        """Block until the device may be back, `timeout` seconds have passed, or `interrupt` is called."""
        self._interrupted.wait(timeout)
        self._interrupted.clear()

    def interrupt(self) -> None:
        """Make the wait in progress return now, or else the next one. Thread-safe."""
        self._interrupted.set()
