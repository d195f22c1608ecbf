"""Encoders behind VingCard Vision's PMS interface (PMSif), over RS-232 or TCP.

Experimental: never tried with Vision or its encoders. What is known comes from two public clients (see `codec`); what
they leave open is named where it matters: the list of further rooms (L) is written as it is read, a card that isn't
recognized counts as blank, and the answer to E doesn't tell whether a key was voided meanwhile, or is a first key or
one that joins. Newer ASSA ABLOY software (Visionline) is another matter, and has drivers of its own.

The port says which way it goes: socket://HOST:3015 is TCP, with a licence; anything else is RS-232 at 9600 baud.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, cast

from pydantic import Field, SecretStr, field_validator, model_validator

from drivers.encoder import Options
from drivers.enquiry import Check, Enquiry, KeyEncoder, KeyOptions, LocalOrder, Lost, Reading
from drivers.enquiry.readings import MINUTE, Lies, local
from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline
from drivers.port import open_port
from drivers.vision import codec
from drivers.vision.answers import DONE, NO_KEYS, RESULTS
from drivers.vision.links import LineLink, Link, TcpLink

BAUD = 9600
_NO_LINE = 1_000_000_000
"""Bits a second where no serial line delays what is sent."""
_APPLICATION = "card-encoder"


class VisionOptions(KeyOptions):
    """Where Vision is, and what keys it is told to make. Experimental; see the module."""

    encoder: str = Field(default="1", pattern="^[0-9]{1,2}$")
    """The encoder's number in Vision, 0 to 99."""
    source: int = Field(default=0, ge=0, le=99)
    """This desk's number in Vision, where it has one."""
    card_type: str = Field(default="Single Room", max_length=40)
    """Which of Vision's card types a guest's key has."""
    user_group: str = Field(default="GUEST", max_length=40)
    """Which of Vision's user groups."""
    operator: str = Field(default="PMS", max_length=9)
    """Who is said to have ordered the key, in Vision's log. Over TCP only."""
    licence: SecretStr | None = None
    """The licence code of the PMS interface, which TCP needs; better in a file."""
    licence_file: Path | None = None
    """A file that holds it."""
    serials: bool = False
    """Whether Vision is asked for the card's UID, which then is reported as the card number."""

    @field_validator("card_type", "user_group", "operator")
    @classmethod
    def _can_be_sent(cls, text: str) -> str:
        if not text.isascii() or not (text.isprintable() or not text):
            raise ValueError("it may have plain ASCII only")
        return text

    @model_validator(mode="after")
    def _has_one_licence(self) -> Self:
        if self.licence is not None and self.licence_file is not None:
            raise ValueError("licence and licence_file are two ways to say the same: keep one")
        return self


class VisionEncoder(KeyEncoder):
    """See `Encoder`. Experimental: never tried with Vision."""

    options_model = VisionOptions
    medium = "Vision key"

    def __init__(self, name: str, options: Options) -> None:
        self._options = cast(VisionOptions, options)
        self._link = _link(self._options)
        super().__init__(name, self._options, self._link)

    @property
    def _unit(self) -> timedelta:
        return MINUTE

    def _check(self, order: LocalOrder) -> None:
        self._fields(order)

    def _read(self, *, last: bool) -> Reading:
        result, data = self._ask(codec.READ, "", changes=False, refuses=NO_KEYS)
        return codec.parse_reading(data) if result == DONE else Reading(Lies.NO_KEY)

    def _make(self, order: LocalOrder, *, last: bool) -> str:
        today = local(datetime.now(UTC), self._zone).date()
        _, data = self._ask(codec.command(order, today), self._fields(order), changes=True)
        return codec.parse_uid(data)

    def _fields(self, order: LocalOrder) -> str:
        serials = self._options.serials
        return codec.key_fields(order, self._options.card_type, self._options.user_group, serials=serials)

    def _ask(self, letter: str, data: str, *, changes: bool, refuses: tuple[str, ...] = ()) -> tuple[str, str]:
        """Result and data of an answer that is positive, or says one of `refuses`.

        Raises:
            Lost: something was to be changed, and the answer doesn't say whether it has been.
            EncoderError: the catalogue's, with the card as it was.
        """
        on_wake: Callable[[], None] = (lambda: None) if changes else self._give_up_waiting
        result, told = self._link.ask(letter, data, changes=changes, on_wake=on_wake)
        if result == DONE or result in refuses:
            return result, told
        if (refusal := RESULTS.get(result)) is not None:
            raise refusal.error(result, changes=changes)
        self._link.close()
        message = "Vision's answer is none that is known."
        raise Lost(message) if changes else EncoderCommunicationTimeout(message)


def _link(options: VisionOptions) -> Link:
    encoder = int(options.encoder)

    def register() -> bytes:
        return codec.pack_register(_licence(options), _APPLICATION)

    if options.port.startswith("socket://"):
        return TcpLink(
            lambda: open_port(options.port, baud=_NO_LINE),
            register,
            encoder=encoder,
            source=options.source,
            operator=options.operator,
            ack_s=options.ack_s * options.tries,
            answer_s=options.answer_s,
        )
    enquiry = Enquiry(
        lambda: open_port(options.port, baud=BAUD),
        Check.HEX,
        ack_s=options.ack_s,
        answer_s=options.answer_s,
        tries=options.tries,
        answers_are_acknowledged=True,
    )
    return LineLink(enquiry, encoder, options.source)


def _licence(options: VisionOptions) -> str:
    licence = options.licence.get_secret_value() if options.licence else ""
    if options.licence_file is not None:
        try:
            licence = options.licence_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EncoderNotOnline(
                "The licence code can't be read from its file.",
                next_step=f"Make {options.licence_file} readable for the agent's user.",
            ) from error
    if not licence or len(licence) > 19 or not licence.isascii():
        raise EncoderNotOnline(
            "Vision needs a licence code of up to 19 characters over TCP.",
            next_step="Write it into a file of its own and name that as the encoder's option `licence_file`.",
        )
    return licence
