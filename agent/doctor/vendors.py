"""Encoders that somebody else's server drives, and drivers that nobody has tried on the real thing yet."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config import Config, build
from agent.control import Control, ControlError
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from drivers import registry
from drivers.content import ServiceOrder, VisionlineOrder
from drivers.errors import EncoderError


def check_unverified(config: Config) -> Iterator[Finding]:
    """What the drivers in use rest on that could not be checked against the real thing: an experimental driver is one
    that has such."""
    drivers = sorted({encoder.driver for encoder in config.encoder})
    experimental = {name: said for name in drivers if (said := registry.load(name).unverified)}
    if not experimental:
        yield fine("experimental drivers", "None is in use.")
    for name, said in experimental.items():
        yield hint(
            f"driver {name}",
            f"The driver {name} is experimental: it was never tried on the real thing.",
            " ".join(f"({number}) {sentence}" for number, sentence in enumerate(said, start=1)),
            "Try each kind of card on a door before it is handed to a guest, and report what is not so.",
        )


def check_servers(config: Config) -> Iterator[Finding]:
    """Whether the servers that have keys made can be reached, are the ones that they should be, and take the password.

    A running agent has said so already: no second session is opened beside it.
    """
    served = [
        encoder for encoder in config.encoder if build(encoder).capabilities.contents & {VisionlineOrder, ServiceOrder}
    ]
    if not served:
        yield skipped("vendors' servers", "No encoder needs one.")
        return
    try:
        with Control(config.desk.socket) as control:
            control.get("/api/state", jobs=1)
    except ControlError:
        pass
    else:
        yield skipped("vendors' servers", "The running agent has said how they are, with its encoders.")
        return
    for configured in served:
        check, encoder = f"server of {configured.name}", build(configured, config.service)
        try:
            encoder.open()
        except EncoderError as error:
            yield problem(check, error.exit_code, "The encoder can't be used.", error.message, error.next_step)
        else:
            yield fine(check, "It can be reached, and takes the agent's name and password.", encoder.device)
        finally:
            encoder.close()
