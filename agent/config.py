"""The configuration file: TOML in, checked values out, errors that name the key and the line."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from agent.content import VISIONLINE
from drivers import registry
from drivers.content import CardNumber, KeyOrder, ServiceOrder, VisionlineOrder
from drivers.encoder import Encoder, ServiceAccess
from drivers.misspelt import unknown_key

API_KEY_VARIABLE = "CARD_ENCODER_API_KEY"

Mode = Literal["auto", "attended"]
Overwrite = Literal["never", "expired", "always"]
Location = tuple[str | int, ...]


class ConfigError(ValueError):
    """The configuration can't be used. The message names file, line and key, and never a secret."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServiceConfig(_Section):
    """`[service]`: where credentials come from and reports go."""

    endpoint: str
    api_key_file: Path | None = None
    kind: Literal["bridge", "seam"] = "bridge"
    """"bridge" takes reports; "seam" takes none, and has credentials encoded by its own encoders only."""
    acs_system_ids: tuple[str, ...] = ()
    poll_interval_s: float = Field(default=2.0, gt=0, le=3600)
    report_path: str = Field(default="/acs/credentials/report_issued", pattern=r"^/")

    @field_validator("endpoint")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("https", "http") or not url.hostname:
            raise ValueError("must be an https:// address")
        if url.scheme == "http" and not _is_loopback(url.hostname):
            raise ValueError("must be https://: plain http:// is only taken on loopback")
        if url.username or url.password:
            raise ValueError("must not hold a password: the key goes into api_key_file")
        return value.rstrip("/")

    def api_key(self) -> SecretStr:
        """The key: from api_key_file, else the systemd credential `api-key`, else the environment.

        Raises:
            ConfigError: there is none, or its file can't be read.
        """
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        credential = Path(folder) / "api-key" if folder else None
        path = self.api_key_file or (credential if credential and _has_content(credential) else None)
        if path is not None:
            try:
                key = path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"service.api_key_file: {path} can't be read ({error.__class__.__name__}). "
                    "Put the API key there, readable for the agent's user alone."
                ) from error
        else:
            key = os.environ.get(API_KEY_VARIABLE, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigError(
                "There is no API key. Name a file in service.api_key_file, pass the systemd credential 'api-key', "
                f"or set {API_KEY_VARIABLE}."
            )
        return SecretStr(key)


class JournalConfig(_Section):
    """`[journal]`: local truth."""

    path: Path = Path("/var/lib/card-encoder/journal.sqlite3")


class ClaimsConfig(_Section):
    """`[claims]`: who encodes what, where several desks share a system."""

    url: SecretStr = SecretStr("local")
    """"local", or where the desks agree: postgresql://user@host/database. It may hold a password."""
    desk: str = Field(default="front-desk-1", min_length=1)
    """This desk's name; no two desks that share a system have the same."""
    ahead: int = Field(default=1, ge=1, le=100)
    """How many credentials each automatic encoder keeps for the cards that come next, where desks share a system.

    Those go on while the database is away; other desks leave them alone meanwhile.
    """

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() != "local" and not re.match("postgres(ql)?://", value.get_secret_value()):
            raise ValueError('must be "local" or postgresql://...')
        return value

    @property
    def shared(self) -> bool:
        """Whether several desks share a system."""
        return self.url.get_secret_value() != "local"


class DeskConfig(_Section):
    """`[desk]`: the desk page and the control socket."""

    listen: str = "127.0.0.1:8460"
    socket: Path = Path("/run/card-encoder/control.sock")

    @field_validator("listen")
    @classmethod
    def _is_on_loopback(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise ValueError("must be HOST:PORT")
        if not _is_loopback(host.strip("[]")):
            raise ValueError("must be a loopback address: nothing listens beyond this machine")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; port 0 lets the system choose."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class EncoderConfig(_Section):
    """`[[encoder]]`: one encoder. `options` are the driver's own, and are checked by the driver."""

    name: str = Field(min_length=1)
    driver: str
    mode: Mode = "auto"
    overwrite: Overwrite = "expired"
    acs_system_ids: tuple[str, ...] = ()
    """The access systems that this encoder writes for; empty: all, and what is of none."""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)


class Config(_Section):
    """The whole file."""

    service: ServiceConfig
    journal: JournalConfig = JournalConfig()
    claims: ClaimsConfig = ClaimsConfig()
    desk: DeskConfig = DeskConfig()
    encoder: tuple[EncoderConfig, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        names = [encoder.name for encoder in self.encoder]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two encoders are called '{name}': give each a name of its own")
        return self


def load(path: Path) -> Config:
    """Read and check the file, each encoder's options included.

    Raises:
        ConfigError: with file, line, key and what to write instead.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read ({error.strerror}). Write one, or name another with --config FILE."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return check(data, text=text, source=str(path))


def check(data: Mapping[str, Any], *, text: str = "", source: str = "the configuration") -> Config:
    """The same for what was parsed already; `text` serves to find the lines."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_first_problem(error, Config, (), text, source)) from None
    for number, encoder in enumerate(config.encoder):
        where: Location = ("encoder", number)
        try:
            driver = registry.load(encoder.driver)
        except registry.DriverError as error:
            raise ConfigError(f"{_place(source, text, (*where, 'driver'))}: {error}") from None
        try:
            driver.options_model.model_validate(encoder.options)
        except ValidationError as error:
            raise ConfigError(_first_problem(error, driver.options_model, (*where, "options"), text, source)) from None
    for number, encoder in enumerate(config.encoder):
        can = build(encoder).capabilities
        if encoder.mode == "auto" and not can.presence and not can.scans:
            raise ConfigError(
                f"{_place(source, text, ('encoder', number, 'mode'))}: '{encoder.name}' neither reads cards nor says "
                "that one lies there: by itself it would write one guest's key over another's. Set mode = "
                '"attended", so that a person picks each credential and puts a card in for it.'
            )
        if config.service.kind == "seam" and ServiceOrder not in can.contents:
            raise ConfigError(
                f'{_place(source, text, ("encoder", number, "driver"))}: with service.kind = "seam" the service takes '
                "no reports, and drives its encoders itself: only the driver 'seam' serves there."
            )
    for number, problem in _in_two_ways(config):
        raise ConfigError(f"{_place(source, text, ('encoder', number, 'acs_system_ids'))}: {problem}")
    return config


_DOES = {
    CardNumber: "writes card numbers",
    KeyOrder: "has keys made by its vendor's encoder",
    ServiceOrder: "is driven by the service",
}
_WRITES_IMAGES = "writes what Visionline's server makes"
_HAS_VISIONLINE_WRITE = "is driven by Visionline's server"


def _in_two_ways(config: Config) -> Iterator[tuple[int, str]]:
    """Encoders, counted from 0, that would make something else of a credential than another one, and what to do."""
    ways = [_ways(encoder) for encoder in config.encoder]
    for number, (encoder, own) in enumerate(zip(config.encoder, ways, strict=True)):
        for other, its in zip(config.encoder, ways, strict=True):
            one_system = set(encoder.acs_system_ids) & set(other.acs_system_ids)
            apart = encoder.acs_system_ids and other.acs_system_ids and not one_system
            vendor = next((vendor for vendor in own if its.get(vendor, own[vendor]) != own[vendor]), "")
            if vendor != "" and not apart:
                yield (
                    number,
                    f"'{encoder.name}' {own[vendor]}, and '{other.name}' {its[vendor]}: which of the two a credential "
                    "becomes must not depend on which encoder comes first. Name here the access systems that each of "
                    "them is for, and none for both.",
                )


def _ways(config: EncoderConfig) -> dict[str | None, str]:
    """What becomes of a credential at this encoder, by the vendor who alone can make it, or None."""
    can = build(config).capabilities
    ways: dict[str | None, str] = {}
    for content, does in _DOES.items():
        if content in can.contents:
            ways[None] = does
    if VisionlineOrder in can.contents:
        ways[VISIONLINE] = _WRITES_IMAGES if can.uids else _HAS_VISIONLINE_WRITE
    if ServiceOrder in can.contents:
        ways[VISIONLINE] = _DOES[ServiceOrder]
    return ways


def build(config: EncoderConfig, service: ServiceConfig | None = None) -> Encoder:
    """The encoder that is configured, not yet opened. Its driver was found, and took the options, in `check`.

    `service` is what it is told of the credential service, for the encoders that this drives itself.
    """
    driver = registry.load(config.driver)
    encoder = driver(config.name, driver.options_model.model_validate(config.options))
    if service is not None:
        encoder.service = ServiceAccess(service.endpoint, service.api_key)
    return encoder


def _first_problem(error: ValidationError, model: type[BaseModel], root: Location, text: str, source: str) -> str:
    details = error.errors(include_input=False, include_url=False)
    # An unknown key first: a misspelt key often shows up as a missing one too, and the misspelling is the cause.
    detail = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    location: Location = (*root, *detail["loc"]) or ("encoder",)  # the one rule for the file as a whole is about these
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = unknown_key(model, detail["loc"])
    elif detail["type"] == "missing":
        message = "is missing"
    return f"{_place(source, text, location)}: {message}"


def _place(source: str, text: str, location: Location) -> str:
    line = _line_of(text, location)
    key = ".".join(str(part) if isinstance(part, str) else f"[{part + 1}]" for part in location).replace(".[", "[")
    return f"{source}, line {line}: {key}" if line else f"{source}: {key}"


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+?)\s*=")


def _line_of(text: str, location: Location) -> int | None:
    """The line of a key, or of the nearest table around it; counted from 1."""
    wanted = tuple(part for part in location if isinstance(part, str))
    index = next((part for part in location if isinstance(part, int)), 0)
    best: tuple[int, int] | None = None  # how many parts fit, and where
    table: tuple[str, ...] = ()
    count = {wanted[0]: -1} if wanted else {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = tuple(part.strip(" \"'") for part in header[2].split("."))
            if header[1] == "[[" and len(table) == 1 and table[0] in count:
                count[table[0]] += 1
            full = table
        elif key:
            full = (*table, *(part.strip(" \"'") for part in key[1].split(".")))
        else:
            continue
        in_reach = not any(isinstance(part, int) for part in location) or count.get(full[0], 0) == index
        if in_reach and wanted[: len(full)] == full and (best is None or len(full) > best[0]):
            best = (len(full), number)
    return best[1] if best else None


def _has_content(path: Path) -> bool:
    """The unit passes an empty line where the administrator has made no credential."""
    try:
        return bool(path.read_bytes().strip())
    except OSError:
        return False


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
