"""Asking what hangs on a serial port: each driver in turn, in its own protocol, within a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from agent.discovery.findings import Device, Standing, known_to
from agent.discovery.patience import NoReturn, within
from drivers.encoder import Encoder
from drivers.errors import EncoderNotOnline
from drivers.port import open_port

PROBE_S = 15.0
"""How long one driver may take over one port."""
_ANY_BAUD = 9600


def ask(port: str, drivers: Mapping[str, type[Encoder]], say: Callable[[str], None], patience_s: float) -> Device:
    """Whatever hangs on the port, by the first driver that knows its answer. Never raises."""
    try:
        # Exclusively: a port that another process has is left alone, and each driver would find so after the other.
        open_port(port, baud=_ANY_BAUD).close()
    except EncoderNotOnline as error:
        return Device(port, Standing.NOT_OPENED, remark=error.message)
    asked, faults = [], []
    for name, driver in drivers.items():
        if not _can_ask(driver):
            continue
        say(f"Asking {port} in the way of {name} ...")
        asked.append(name)
        try:
            attached = within(patience_s, partial(driver.probe, port))
            if attached is not None:
                found = known_to(name, driver, attached)
                return found if port in found.device else replace(found, device=f"{found.device} on {port}")
        except NoReturn as error:
            faults.append(f"{name}: {error}, and the port is left to it.")
            break  # it may still be at it: nobody else is to talk meanwhile
        except Exception as error:  # noqa: BLE001 - one driver's mistake never hides the others
            faults.append(f"{name} failed ({type(error).__name__}).")
    return Device(port, Standing.NO_ANSWER, remark=" ".join([f"Asked as {', '.join(asked) or 'nothing'}.", *faults]))


def _can_ask(driver: type[Encoder]) -> bool:
    return driver.probe.__func__ is not Encoder.probe.__func__  # type: ignore[attr-defined]
