"""Options of Visionline encoders.

What the Web API's parameters and fields are called is known from public clients alone: the manual (ASSA ABLOY Global
Solutions Web API, DocNo 61 1100 080) isn't public. Names that several clients agree on are in the code; those that rest
on one, or on belief, are in `Names`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from drivers import registry
from drivers.content import CardImage
from drivers.encoder import Encoder, Options
from drivers.misspelt import unknown_key
from drivers.visionline.client import Access
from drivers.visionline.trust import ByAuthority, ByFingerprint, read_fingerprint


class Names(BaseModel):
    """Names of the Web API that rest on one source, or on belief.

    From the Android client albertcoresystemtech/Vingcard (MainActivity.java, RetrofitAPICollection.java), which speaks
    to a proxy, so that Visionline taking the same names is believed, not verified: `pending_image`, `send_online`,
    `encrypted_image`, `serial_number`, `guest_door`, `valid_time`. From one JavaScript client: `overwrite_valid_card`.
    The operation "guest" is in all clients (fake-seam-connect: "todo: additional values?"); "common" and "staff" are
    believed, not verified.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pending_image: str = "pendingImage"
    """The parameter by which an order asks for an image to be written by others."""
    send_online: str = "sendOnline"
    """The parameter by which an order tells that nothing goes to online locks."""
    encrypted_image: str = "encryptedImage"
    """The field of the answer that holds the image, in hex."""
    serial_number: str = "serialNumber"
    """The parameter by which cards are looked up by their serial number."""
    guest_door: str = "guestDoor"
    """The parameter by which cards are looked up by a guest's door."""
    valid_time: str = "validTime"
    """The parameter that tells when the cards that are looked up by a door are valid."""
    overwrite_valid_card: str = "overwriteValidCard"
    """The parameter by which Visionline's own encoder may write over a card that is still valid."""
    guest_operation: str = "guest"
    """What a guest does at his own doors."""
    common_operation: str = "common"
    """What he does at doors that he shares with others."""
    staff_operation: str = "staff"
    """What staff do at guests' doors."""


class VisionlineOptions(Options):
    """Where Visionline's server is, and who writes the cards that it makes. Experimental; see `driver`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    server: str
    """Visionline's server: "https://HOST" or "https://HOST:PORT"."""
    username: str = Field(min_length=1)
    """The Web API's user."""
    password_file: Path
    """A file that holds the user's password, readable for the agent alone."""
    ca_file: Path | None = None
    """Certificates (PEM) of the authority that vouches for the server. Without it, and without a fingerprint, those of
    this machine do."""
    fingerprint: str | None = None
    """Or the SHA-256 fingerprint of the server's own certificate, in hex."""
    time_zone: str
    """The property's time zone: "Europe/Oslo"."""
    way: Literal["image", "native"] = "image"
    """image: Visionline makes the card's data, and a card encoder of ours writes them. native: Visionline writes the
    card on an encoder of its own."""
    encoder: str = ""
    """native: the name of the encoder in Visionline."""
    card_driver: str = ""
    """image: the driver of the encoder that writes the card: "pcsc", for one."""
    card_options: dict[str, Any] = Field(default={}, repr=False)
    """image: the options of that driver."""
    card_number: Literal["uid", "uid_suffix", "server"] = "uid"
    """What is reported as the card number: the card's UID, the UID with the suffix, or the serial number that
    Visionline tells."""
    suffix: str = Field(default="ff", pattern="^[0-9a-f]*$")
    """What Visionline appends to a card's UID to make its serial number."""
    serial: Literal["bare", "suffix"] = "bare"
    """How an order names the card: by its UID as it is, or with the suffix. Cards are looked up by both, in upper and
    in lower case."""
    guest_format: Literal["rfid48", "TLCode"] = "rfid48"
    """The format of a guest's card where the service doesn't tell it: rfid48 for cards of 48 bytes, TLCode for larger
    ones."""
    staff_format: Literal["rfid48", "TLCode"] = "TLCode"
    """The same for a card of staff."""
    card_holder: bool = False
    """Whether Visionline is told the holder's name."""
    settle_s: float = Field(default=3.0, gt=0, le=30)
    """How long Visionline may take to show a card that it was told to make, in seconds, once the answer got lost."""
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """How long the server may take to answer, in seconds."""
    encoder_s: float = Field(default=60.0, gt=0, le=90)
    """native: how long the server may take to write a card, in seconds: somebody has to put it down meanwhile."""
    names: Names = Names()

    @field_validator("server")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme != "https" or not url.hostname:
            raise ValueError("must be https://HOST or https://HOST:PORT")
        if url.username is not None or url.path.strip("/") or url.query or url.fragment:
            raise ValueError("must be https://HOST or https://HOST:PORT, and nothing else")
        _ = url.port  # raises a ValueError where it is none
        return value.rstrip("/")

    @field_validator("fingerprint")
    @classmethod
    def _is_a_fingerprint(cls, value: str | None) -> str | None:
        return None if value is None else read_fingerprint(value)

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError('there is no such time zone; it is named as in "Europe/Oslo"') from None
        return name

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Self:
        if self.ca_file is not None and self.fingerprint is not None:
            raise ValueError("ca_file and fingerprint are two ways to know the server: keep one")
        if self.way == "native":
            if not self.encoder.strip():
                raise ValueError('way = "native" needs the name of a Visionline encoder: set encoder')
            if self.card_driver or self.card_options:
                raise ValueError('card_driver and card_options are for way = "image"')
        else:
            if self.encoder:
                raise ValueError('encoder is for way = "native"; the one that writes images is card_driver')
            self.card_encoder("")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The property's time zone."""
        return ZoneInfo(self.time_zone)

    def card_encoder(self, name: str) -> Encoder:
        """A new encoder of the kind that writes the images, not yet opened.

        Raises:
            ValidationError: there is no such driver, it doesn't write images, or doesn't take the options.
        """
        if not self.card_driver:
            raise _problem('needed, to write the cards: "pcsc", for one', "card_driver")
        try:
            driver = registry.load(self.card_driver)
        except registry.DriverError as error:
            raise _problem(str(error), "card_driver") from None
        with suppress(AttributeError):  # one that can't be made without its options has to be asked with them
            self._check_it_writes_images(driver("", driver.options_model.model_construct()))
        try:
            options = driver.options_model.model_validate(self.card_options)
        except ValidationError as error:
            raise _first_problem(error, driver.options_model) from None
        encoder = driver(name, options)
        self._check_it_writes_images(encoder)
        return encoder

    def _check_it_writes_images(self, encoder: Encoder) -> None:
        if CardImage not in encoder.capabilities.contents:
            raise _problem(f"the driver '{self.card_driver}' can't write what Visionline makes", "card_driver")

    def access(self) -> Access:
        """How the server is spoken to."""
        trust = ByAuthority(self.ca_file) if self.fingerprint is None else ByFingerprint(self.fingerprint)
        return Access(self.server, self.username, self._password, trust, self.timeout_s)

    def _password(self) -> SecretStr:
        password = self.password_file.read_text(encoding="utf-8").strip("\r\n")
        if not password:
            raise ValueError("the file is empty")
        return SecretStr(password)


def _first_problem(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    """Without what was put in: it may be a key. One that is misspelt comes first: it often shows up as missing too."""
    details = error.errors(include_input=False, include_url=False)
    detail = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    if detail["type"] == "extra_forbidden":
        message = unknown_key(model, detail["loc"])
    elif detail["type"] == "missing":
        message = "is missing"
    else:
        message = detail["msg"].removeprefix("Value error, ")
    return _problem(message, "card_options", *detail["loc"])


def _problem(message: str, *location: str | int) -> ValidationError:
    """One whose location in the file can be told."""
    kind = PydanticCustomError("card_encoder", "{message}", {"message": message})
    details = InitErrorDetails(type=kind, loc=location, input=None)
    return ValidationError.from_exception_data(VisionlineOptions.__name__, [details], hide_input=True)
