"""Ports that the kernel has a name for, and the machine no chip."""

from __future__ import annotations

from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from drivers.port import finding


def test_a_port_without_a_chip_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"ttyS0": "4", "ttyS1": "0", "ttyS2": "0", "ttyUSB0": None}  # 4: a 16550A
    for name, kind in kinds.items():
        (tmp_path / name).mkdir()
        if kind is not None:
            (tmp_path / name / "type").write_text(f"{kind}\n")
    monkeypatch.setattr(finding, "_TTYS", tmp_path)
    monkeypatch.setattr(finding.list_ports, "comports", lambda: [ListPortInfo(f"/dev/{name}") for name in kinds])
    assert {port.device for port in finding.serial_ports()} == {"/dev/ttyS0", "/dev/ttyUSB0"}
