"""A mocked USB device whose coming and going udev tells a running process of (umockdev's Testbed).

umockdev's Python side belongs to the system's interpreter, so it has a process of its own: this module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.udev import Device

PRELOAD = "libumockdev-preload.so.0"


class Testbed:
    """A machine with this device, which has a node. A context manager."""

    __test__ = False  # not a class of tests

    def __init__(self, device: Device) -> None:
        self._device = device

    def __enter__(self) -> Self:
        command = ["umockdev-wrapper", "/usr/bin/python3", "-m", __name__]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._root = self._ask(json.dumps(self._device.description()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=20)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to see this device, and none of the machine's."""
        return {"LD_PRELOAD": PRELOAD, "UMOCKDEV_DIR": self._root}

    def tell(self, action: str) -> None:
        """Have udev tell that the node was added or removed ("add", "remove"). It stays where it is."""
        assert self._ask(f"{action} /sys{self._device.node_path}") == "done"

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def _main() -> None:
    import gi  # type: ignore[import-not-found]

    gi.require_version("UMockdev", "1.0")
    from gi.repository import UMockdev  # type: ignore[import-not-found]

    testbed = UMockdev.Testbed.new()
    testbed.add_from_string(json.loads(sys.stdin.readline()))
    print(testbed.get_root_dir(), flush=True)
    for line in sys.stdin:
        action, path = line.split()
        testbed.uevent(path, action)
        print("done", flush=True)


if __name__ == "__main__":
    _main()
