"""The devices that were found as `[[encoder]]` tables to paste into the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from itertools import count

from agent.discovery.findings import Device, Standing

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_paste(devices: Collection[Device], taken: Collection[str] = ()) -> str:
    """TOML for those that can be configured; their names differ from each other and from those `taken`."""
    names = (name for number in count(1) if (name := f"Front desk {number}") not in taken)
    tables = (_table(next(names), device) for device in devices if device.standing is Standing.FOUND)
    return "\n".join(tables)


def _table(name: str, device: Device) -> str:
    lines = ["[[encoder]]", f"name = {_value(name)}", f"driver = {_value(device.driver)}"]
    if device.mode == "attended":
        lines.append('mode = "attended"')
    if device.options:
        lines += ["[encoder.options]", *(f"{_key(key)} = {_value(value)}" for key, value in device.options.items())]
    return "".join(f"{line}\n" for line in lines)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    """As TOML 1.0 writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
    return _text(str(value))


def _text(text: str) -> str:
    """A basic string has the escapes of JSON, and one more character that must not stand for itself."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
