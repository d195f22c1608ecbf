"""Encoders behind the Industry Standard PMS protocol: Salto, Onity and their like, and TESA Inhova's variant of it.

The agent plays the property management system's part; the lock vendor's software has the encoder and makes the keys.
Never tried on a real vendor's software: the bytes are those of public clients (see `codec`), and so are the times.
What is believed, not verified: that a fresh card is read as "unidentified" (LD), and, of the TESA variant, that its
check is the Industry Standard's; where it isn't, `lrc = false` leaves it out.

How a key is made: the card is read (LT) and bound; the key is ordered (CN, or CC where it joins others); then the card
is read back. A CN checks the guests before out, so none is sent twice without a look between. A card that can't be told
apart by UID is told apart by its key only: a key that is as ordered counts as NUMBER, whose it is isn't known.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from pydantic import field_validator

from drivers.encoder import Options
from drivers.enquiry import Check, Enquiry, KeyEncoder, KeyOptions, LocalOrder, Lost, Reading
from drivers.enquiry.readings import Lies
from drivers.errors import (
    EncoderCommunicationTimeout,
    IncompatibleCardFormat,
    UncategorizedError,
    Unencodable,
)
from drivers.pms.answers import INDUSTRY, TESA, UNREADABLE
from drivers.pms.codec import Dialect, Industry, Malformed, Tesa, check_name, pack, unpack
from drivers.port import open_port

BAUD = 9600
_TEXT_LIMIT = 24
_ANSWERED_ALIKE = ("CO",)
"""Messages whose answer may well be the same again. Any other that comes back is an echo."""


class PmsOptions(KeyOptions):
    """Where the software is, and how it is spoken to. `port` is socket://HOST:PORT, or a serial device at 9600 baud."""

    dialect: Literal["salto", "onity", "tesa"] = "salto"
    """salto: times to the minute. onity: to the full hour, earlier at the start and later at the end. tesa: Inhova."""
    operator: str = ""
    """Who is said to have ordered the key, in the vendor's own log."""
    eject: Literal["E", "R"] = "E"
    """What becomes of the card after the last message of a job: E gives it back, R keeps it in the encoder."""
    lrc: bool = True
    """Whether frames are checked. Without it 0D is sent in the check's place."""
    serials: bool = False
    """Whether the software is asked for the card's serial number, which then is reported as the card number. Salto and
    TESA tell it; other software may not take a message with that field."""

    @field_validator("operator", "encoder")
    @classmethod
    def _can_be_sent(cls, text: str) -> str:
        if len(text) > _TEXT_LIMIT or not text.isascii() or not (text.isprintable() or not text):
            raise ValueError(f"it may have up to {_TEXT_LIMIT} characters of plain ASCII")
        return text


class PmsEncoder(KeyEncoder):
    """See `Encoder`."""

    options_model = PmsOptions

    def __init__(self, name: str, options: Options) -> None:
        self._options = cast(PmsOptions, options)
        dialect = self._options.dialect
        self._enquiry = Enquiry(
            lambda: open_port(self._options.port, baud=BAUD),
            Check.RAW if self._options.lrc else Check.SKIPPED,
            ack_s=self._options.ack_s,
            answer_s=self._options.answer_s,
            tries=self._options.tries,
            answers_are_acknowledged=dialect == "tesa",
        )
        super().__init__(name, self._options, self._enquiry)
        self._dialect: Dialect
        if dialect == "tesa":
            self._dialect = Tesa(serials=self._options.serials)
        else:
            self._dialect = Industry(
                minutes=dialect == "salto", eject=self._options.eject, serials=self._options.serials
            )
        self._refusals = TESA if dialect == "tesa" else INDUSTRY
        self.medium = f"{dialect.capitalize()} key"

    def check_out(self, room: str) -> None:
        """Check a room out in the locks' software: its keys open it no longer.

        Nothing in the agent does this; it is for integrators, from the thread that uses the encoder. `room` is named as
        the software does.

        Raises:
            Unencodable: there is no such room, or its name can't be told.
            IncompatibleCardFormat: this dialect has no check-out that is public.
            CredentialCannotBeReissued: nobody is checked in.
            UncategorizedError: no answer says whether it was carried out. It may be repeated.
            EncoderError: others of the catalogue.
        """
        check_name(room, self._dialect.name_limit)
        fields = self._dialect.check_out(self._options.encoder, room)
        if fields is None:
            raise IncompatibleCardFormat(
                "This software can't be told to check a room out.",
                next_step="Check the room out in the lock vendor's own software.",
            )
        try:
            self._ask(fields, changes=True)
        except Lost as error:
            raise UncategorizedError(f"The room may have been checked out, or not. {error}") from error

    @property
    def _unit(self) -> timedelta:
        return self._dialect.unit

    @property
    def _gives_back(self) -> bool:
        return self._dialect.retains and self._options.eject == "E"

    def _check(self, order: LocalOrder) -> None:
        if len(order.rooms) > self._dialect.max_rooms:
            raise Unencodable(
                f"The credential opens {len(order.rooms)} doors, and a key of this kind {self._dialect.max_rooms}.",
                next_step="Leave out doors at the service, or give the guest a second credential for the rest.",
            )
        for room in order.rooms:
            check_name(room, self._dialect.name_limit)

    def _read(self, *, last: bool) -> Reading:
        try:
            answer = self._ask(self._dialect.read(self._options.encoder, last=last))
            return self._dialect.reading(answer)
        except Malformed as error:
            raise EncoderCommunicationTimeout(f"The locks' software says what can't be understood: {error}.") from error
        except IncompatibleCardFormat as error:
            if error.data.get("code") in UNREADABLE:
                return Reading(Lies.OTHER)
            raise

    def _make(self, order: LocalOrder, *, last: bool) -> str:
        fields = self._dialect.make(order, self._options.encoder, self._options.operator, last=last)
        return self._dialect.serial_number(self._ask(fields, changes=True))

    def _ask(self, fields: list[str], *, changes: bool = False) -> list[str]:
        """Send a message; the fields of its positive answer.

        Raises:
            Malformed: the answer is none, and nothing was to be changed.
            Lost: something was, and the answer doesn't say whether it has been.
            EncoderError: the catalogue's, with the card as it was.
        """
        on_wake = (lambda: None) if changes else self._give_up_waiting
        payload = self._enquiry.ask(pack(fields), changes=changes, on_wake=on_wake)
        try:
            answer = unpack(payload)
            if answer == fields and fields[0] not in _ANSWERED_ALIKE:
                raise Malformed("it is what was sent")
            if answer[0] == fields[0]:
                return answer
            if (refusal := self._refusals.get(answer[0])) is None:
                raise Malformed("it is no answer to what was asked")
            raise refusal.error(answer[0], changes=changes)
        except Malformed as error:
            self._enquiry.close()
            if changes:
                raise Lost(f"The answer can't be understood: {error}.") from error
            raise
