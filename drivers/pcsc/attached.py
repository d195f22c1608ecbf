"""The readers that are there, each with the options that mean it and no other."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from typing import Any

from drivers.encoder import Attached
from drivers.pcsc import winscard
from drivers.pcsc.readers import Reader, Wanted, describe, the_one
from drivers.pcsc.winscard import Context

_NUMBERS = re.compile(r" [0-9A-F]{2} [0-9A-F]{2}$")
_SAM = re.compile(r"\bSAM\b")
"""Some readers have a slot for a chip of their own, called so (ACR1252U, ACR1281U): no card is ever put there."""


def attached_readers() -> list[Attached]:
    """All readers that pcscd has.

    Raises:
        PcscError: pcscd isn't there.
    """
    context = Context()
    try:
        return told_apart(context.readers(), lambda name: _described(context, name))
    finally:
        context.release()


def told_apart(names: list[str], described: Callable[[str], Reader]) -> list[Attached]:
    """The readers behind these names. Only those that their names don't tell apart are asked for more."""
    readers: dict[str, list[str]] = {}
    for name in names:
        if not _SAM.search(name):
            readers.setdefault(name.rpartition(" ")[0], []).append(name)  # without the slot's number
    return [Attached(min(slots), _options(min(slots), names, described)) for slots in readers.values()]


def _options(name: str, names: list[str], described: Callable[[str], Reader]) -> dict[str, Any]:
    pattern = f"{glob.escape(_NUMBERS.sub('', name))} ?? ??"
    wanted = Wanted(pattern)
    if the_one([other for other in names if wanted.fits_name(other)]) == name:
        return {"reader": pattern}
    reader = described(name)
    if reader.serial:
        return {"reader": pattern, "serial": reader.serial}
    if reader.usb_path:
        return {"reader": pattern, "usb_path": reader.usb_path}
    return {"reader": name}  # its number changes with the order of plugging in, but there is nothing else to go by


def _described(context: Context, name: str) -> Reader:
    """Its serial number and USB path, unless somebody uses it: a reader at work is not opened beside him."""
    in_use = context.state(name).flags & (winscard.IN_USE | winscard.EXCLUSIVE)
    return Reader(name) if in_use else describe(context, name)
