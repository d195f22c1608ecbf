"""The checks of the machine, on file systems laid out as real ones are."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import Config, check
from agent.doctor.finding import Finding, Verdict
from agent.doctor.hardware import SOCKET_VARIABLE, check_modules, check_nfcpy, check_pcscd, check_polkit


def config(driver: str = "pcsc") -> Config:
    service = {"endpoint": "https://service.example"}
    return check({"service": service, "encoder": [{"name": "Desk", "driver": driver}]})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


@pytest.mark.parametrize("check_it", [check_pcscd, check_modules, check_polkit])
def test_nobody_needs_pcsc(tmp_path: Path, check_it: Callable[[Config, Path], Iterator[Finding]]):
    empty = check({"service": {"endpoint": "https://service.example"}})
    assert only(check_it(empty, tmp_path)).verdict is Verdict.SKIPPED


def test_pcscd_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    found = only(check_pcscd(config(), tmp_path))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert "pcscd.socket" in found.fix


def test_pcscd_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "pcscd.comm"
    monkeypatch.setenv(SOCKET_VARIABLE, str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert only(check_pcscd(config(), Path("/"))).verdict is Verdict.FINE


def test_the_kernel_leaves_readers_alone(tmp_path: Path):
    write(tmp_path / "proc/modules", "usbhid 65536 0 - Live 0x0\nnfc_stub 1 0 - Live 0x0\n")
    assert only(check_modules(config(), tmp_path)).verdict is Verdict.FINE


def test_the_kernel_would_take_a_reader(tmp_path: Path):
    write(tmp_path / "proc/modules", "pn533_usb 20480 0 - Live 0x0\npn533 49152 1 pn533_usb, Live 0x0\n")
    found = only(check_modules(config(), tmp_path))
    assert found.verdict is Verdict.HINT
    assert "modprobe -r pn533_usb pn533 " in found.fix


@pytest.mark.parametrize("driver", ["pcsc", "nfc"])
def test_the_kernel_holds_a_reader(tmp_path: Path, driver: str):
    write(tmp_path / "proc/modules", "pn533_usb 20480 0 - Live 0x0\n")
    write(tmp_path / "sys/bus/usb/drivers/pn533_usb/1-4:1.0", "")
    found = only(check_modules(config(driver), tmp_path))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert "1-4:1.0" in found.evidence
    assert ("restart pcscd" in found.fix) is (driver == "pcsc")


def test_nfcpy_is_there():
    assert only(check_nfcpy(config())).verdict is Verdict.SKIPPED
    assert only(check_nfcpy(config("nfc"))).verdict is Verdict.FINE


@pytest.fixture
def nfcpys_level() -> Iterator[None]:
    """nfcpy sets its log's level whenever it is imported: back to what it was."""
    log = logging.getLogger("nfc")
    level = log.level
    yield
    log.setLevel(level)


@pytest.mark.usefixtures("nfcpys_level")
@pytest.mark.parametrize(("missing", "fix"), [("nfc", "card-encoder-agent[nfc]"), ("usb1", "libusb-1.0-0")])
def test_nfcpy_or_what_it_needs_is_missing(monkeypatch: pytest.MonkeyPatch, missing: str, fix: str):
    here = config("nfc")
    for name in [name for name in sys.modules if name.partition(".")[0] == "nfc"]:
        monkeypatch.delitem(sys.modules, name)
    if missing == "nfc":
        monkeypatch.setitem(sys.modules, "nfc", None)
    else:
        import usb1

        monkeypatch.setattr(usb1, "loadLibrary", fail_to_load)
    found = only(check_nfcpy(here))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert fix in found.fix


def fail_to_load() -> None:
    raise OSError("libusb-1.0.so.0: cannot open shared object file")


def test_pcscd_that_asks_polkit(tmp_path: Path):
    assert only(check_polkit(config(), tmp_path)).verdict is Verdict.FINE
    write(tmp_path / "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy", "<policyconfig/>")
    found = only(check_polkit(config(), tmp_path))
    assert found.verdict is Verdict.HINT
    shipped = Path(__file__).parents[3] / "systemd/card-encoder-pcsc.rules"
    write(tmp_path / "usr/share/polkit-1/rules.d/card-encoder-pcsc.rules", shipped.read_text())
    assert only(check_polkit(config(), tmp_path)).verdict is Verdict.FINE
