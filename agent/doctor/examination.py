"""The order of the checks, from what all else rests on to the hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.config import Config, ConfigError, load
from agent.doctor import hardware, journal, ports, running, service, vendors
from agent.doctor.finding import Finding, Verdict, fine, problem, skipped

CONFIGURATION = 3
_CONFIGURATION = "configuration"


def examine(config_path: Path, *, machine: Path = Path("/")) -> Iterator[Finding]:
    """All checks, one after the other. `machine` is the root of the file system whose hardware is looked at.

    Never raises: a check that fails itself says so, and the others go on.
    """
    try:
        config = load(config_path)
    except ConfigError as error:
        yield problem(_CONFIGURATION, CONFIGURATION, "The configuration can't be used.", str(error), _FIX)
        yield skipped("all else", "It needs a configuration.")
        return
    encoders = ", ".join(f"{encoder.name} ({encoder.driver})" for encoder in config.encoder)
    yield fine(_CONFIGURATION, f"{config_path} is in order.", f"encoders: {encoders or 'none'}")
    for name, check in _checks(config, machine).items():
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - one failing check never hides the others
            yield skipped(name, f"The check itself failed ({type(error).__name__}): nothing is known.")


_FIX = "Correct the key that is named, then run `card-encoder doctor` again."


def _checks(config: Config, machine: Path) -> dict[str, Callable[[], Iterator[Finding]]]:
    return {
        "API key": lambda: service.check_key(config),
        "desk token": lambda: journal.check_token(config),
        "journal": lambda: journal.check_journal(config),
        "agent": lambda: running.check_agent(config),
        "service": lambda: service.check_service(config),
        "PC/SC": lambda: hardware.check_pcscd(config, machine),
        "kernel modules": lambda: hardware.check_modules(config, machine),
        "polkit": lambda: hardware.check_polkit(config, machine),
        "nfcpy": lambda: hardware.check_nfcpy(config),
        "serial ports": lambda: ports.check_ports(config, machine),
        "ModemManager": lambda: ports.check_modem_manager(config, machine),
        "vendors' servers": lambda: vendors.check_servers(config),
        "experimental drivers": lambda: vendors.check_unverified(config),
    }


def exit_code(findings: Sequence[Finding]) -> int:
    """The command line's exit code: that of the first problem, since later ones often follow from it; else 0."""
    return next((finding.exit_code for finding in findings if finding.verdict is Verdict.PROBLEM), 0)
