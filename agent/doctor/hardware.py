"""What stands between the agent and its readers: pcscd, kernel modules, polkit, and nfcpy for the driver nfc."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from agent.config import Config
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from agent.doctor.parts import parts
from drivers.errors import EncoderNotOnline

SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
_PCSCD_SOCKET = "run/pcscd/pcscd.comm"
_GRABBING_MODULES = ("pn533_usb", "pn533", "nfc")
_POLKIT_ACTION = "org.debian.pcsc-lite"
_PATIENCE_S = 5.0


def _uses_pcsc(config: Config) -> bool:
    return any(part.driver == "pcsc" for part in parts(config))


def _uses_nfcpy(config: Config) -> bool:
    return any(part.driver == "nfc" for part in parts(config))


def check_nfcpy(config: Config) -> Iterator[Finding]:
    """Whether nfcpy, which is an extra, and what it needs itself can be loaded."""
    if not _uses_nfcpy(config):
        yield skipped("nfcpy", "No encoder needs it.")
        return
    try:
        import_module("nfc.clf")
        import_module("usb1").loadLibrary()  # nfcpy's way to USB, which it takes when a reader is opened
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError)
        yield problem(
            "nfcpy",
            EncoderNotOnline.exit_code,
            "The driver nfc needs it, and it " + ("is not installed." if missing else "does not load."),
            f"{type(error).__name__}: {error}",
            f"{sys.executable} -m pip install 'card-encoder-agent[nfc]'"
            if missing
            else "sudo apt-get install libusb-1.0-0",
        )
    else:
        yield fine("nfcpy", "It is installed, and loads.")


def check_pcscd(config: Config, machine: Path) -> Iterator[Finding]:
    """Whether pcscd answers on its socket (with socket activation, connecting starts it)."""
    if not _uses_pcsc(config):
        yield skipped("PC/SC", "No encoder needs it.")
        return
    path = Path(os.environ.get(SOCKET_VARIABLE) or machine / _PCSCD_SOCKET)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            yield problem(
                "PC/SC",
                EncoderNotOnline.exit_code,
                "pcscd, which drives the readers, is not running.",
                f"{path}: {error.strerror or error}",
                "sudo apt-get install pcscd && sudo systemctl enable --now pcscd.socket",
            )
        else:
            yield fine("PC/SC", "pcscd answers.", str(path))


def check_modules(config: Config, machine: Path) -> Iterator[Finding]:
    """Whether the kernel's own NFC driver holds readers with an NXP chip, which nobody else can open then."""
    if not _uses_pcsc(config) and not _uses_nfcpy(config):
        yield skipped("kernel modules", "No encoder needs PC/SC or nfcpy.")
        return
    try:
        lines = (machine / "proc/modules").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield skipped("kernel modules", f"They can't be listed ({error.strerror}).")
        return
    loaded = [name for name in _GRABBING_MODULES if any(line.startswith(f"{name} ") for line in lines)]
    if not any(name.startswith("pn533") for name in loaded):
        yield fine("kernel modules", "None takes readers away.")
        return
    fix = (
        "printf 'blacklist %s\\n' pn533_usb pn533 nfc | sudo tee /etc/modprobe.d/card-encoder.conf && "
        f"sudo modprobe -r {' '.join(loaded)}" + " && sudo systemctl restart pcscd" * _uses_pcsc(config)
    )
    # A bound USB interface is a link named like 1-4:1.0 (Linux, Documentation/driver-api/usb).
    held = sorted(link.name for link in (machine / "sys/bus/usb/drivers/pn533_usb").glob("[0-9]*:*"))
    if held:
        cause = "The kernel's NFC driver holds a reader, so that nobody else can open it."
        evidence = f"pn533_usb is bound to {', '.join(held)}"
        yield problem("kernel modules", EncoderNotOnline.exit_code, cause, evidence, fix)
    else:
        cause = "The kernel's NFC driver is loaded, and takes an ACR122U or a PN533 away when it is plugged in."
        yield hint("kernel modules", cause, f"loaded: {', '.join(loaded)}", fix)


def check_polkit(config: Config, machine: Path) -> Iterator[Finding]:
    """Whether a pcscd that asks polkit has a rule that lets the agent's user in."""
    if not _uses_pcsc(config):
        yield skipped("polkit", "No encoder needs PC/SC.")
        return
    if not (machine / f"usr/share/polkit-1/actions/{_POLKIT_ACTION}.policy").exists():
        yield fine("polkit", "This pcscd doesn't ask it.")
        return
    folders = [machine / place / "polkit-1/rules.d" for place in ("etc", "run", "usr/local/share", "usr/share")]
    try:
        rules = [path for folder in folders for path in folder.glob("*.rules") if _POLKIT_ACTION in path.read_text()]
        unreadable = [folder for folder in folders if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)]
    except OSError as error:
        yield skipped("polkit", f"Its rules can't be read ({error.strerror}): run the doctor as root.")
        return
    if rules:
        yield fine("polkit", "A rule speaks of pcscd.", str(rules[0]))
    elif unreadable:
        yield skipped("polkit", f"{unreadable[0]} can't be read: run the doctor as root.")
    else:
        yield hint(
            "polkit",
            "pcscd asks polkit, and no rule lets a service user in.",
            f"no *.rules file names {_POLKIT_ACTION}",
            "Put this into /etc/polkit-1/rules.d/50-card-encoder.rules: polkit.addRule(function(action, subject) { if "
            f'(action.id.indexOf("{_POLKIT_ACTION}.access_") === 0 && subject.user === "card-encoder") '
            "{ return polkit.Result.YES; } });",
        )
