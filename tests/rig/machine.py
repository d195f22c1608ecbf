"""A machine of its own: this one's root under an overlay, booted by a real systemd in a container, and gone afterwards.

Everything lives in a mount and a process namespace: when their first process ends, for whatever reason, the kernel ends
the others and takes the mounts away.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
OURS = [path for path in (CHECKOUT, Path(sys.base_prefix)) if str(path) != "/usr"]
"""What has to be seen inside wherever it lies outside: the checkout, and the interpreter if it isn't the system's."""
PYTHON = CHECKOUT / ".venv" / "bin" / "python"
REPORT = Path("/report")
"""Inside, the folder that `boot` was given for reports."""

_TARGET = "card-encoder-test.target"
_BOOT_UNITS = {
    # Little else: no logins, no timers, nothing that waits for hardware.
    _TARGET: "[Unit]\nRequires=check.service\nAllowIsolate=yes\n",
    "check.service": """[Unit]
After=dbus.socket systemd-journald.socket
Wants=dbus.socket
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
Type=oneshot
ExecStart={python} -m {check}
WorkingDirectory={checkout}
StandardOutput=file:{report}/output
StandardError=inherit
TimeoutStartSec={seconds}
""",
}

_BOOT = """
set -e
files=$1 machine=$2; shift 2
mount -t tmpfs tmpfs "$machine"
mkdir "$machine/upper" "$machine/work" "$machine/root"
mount -t overlay -o "lowerdir=/,upperdir=$machine/upper,workdir=$machine/work" overlay "$machine/root"
cp -RT --preserve=mode,links "$files" "$machine/root"
systemd-sysusers --root="$machine/root"
exec systemd-nspawn --quiet --directory="$machine/root" --register=no --keep-unit --console=pipe --private-network \
  --machine=card-encoder-test "$@"
"""


def boot(files: Path, report: Path, *, check: str, seconds: int) -> str:
    """Boot with `files` laid over the root, run the module `check` there as root, power off.

    What the module prints comes back; it finds the folder `report` as REPORT. Booting takes half a second.

    Raises:
        subprocess.CalledProcessError: it didn't boot.
        subprocess.TimeoutExpired: it took longer than `seconds`.
    """
    units = files / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    values = {"python": PYTHON, "check": check, "checkout": CHECKOUT, "report": REPORT, "seconds": seconds - 5}
    for name, text in _BOOT_UNITS.items():
        (units / name).write_text(text.format(**values))
    machine = report.with_name("machine")
    machine.mkdir()
    binds = [*(f"--bind-ro={path}" for path in OURS), f"--bind={report}:{REPORT}"]
    # Whether this process ends or gives up: what it started is killed, and with it everything in the namespaces.
    command = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["sh", "-c", _BOOT, "sh", str(files), str(machine), *binds, "--boot", f"systemd.unit={_TARGET}"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=seconds,
    )
    output = report / "output"
    return output.read_text() if output.exists() else done.stdout
