"""The driver that README.md shows, done as it says: tested, installed, configured, and a card encoded with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from drivers import registry
from drivers.conformance import TagHands
from drivers.port.simulated import Line
from drivers.twn4.simulator import SimulatedTwn4
from tests.agent.guests import create
from tests.rig.daemon import Daemon, Process, until
from tests.rig.readme import third_party
from tests.rig.sandbox import running_sandbox

DRIVER = "simple_twn4"
NUMBER = "4071882619550042"
FILES, COMMANDS = third_party()


class Environment:
    """A fresh virtual environment in which the agent is there already, and the third party's package in a folder."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "package"
        self.package.mkdir()
        for name, text in FILES.items():
            (self.package / name).write_text(text)
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        packages = (
            folder / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )
        # What is installed in this environment, the agent included, which an editable installation brings by a .pth
        # file of its own: a path alone would not do.
        (packages / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    def run(self, command: str) -> str:
        """Run `pip ...` or `pytest ...` in the package's folder, as in this environment: what it prints."""
        program, *arguments = command.split()
        # This environment's pip installs into the fresh one, which is made sooner without.
        how = {"pip": [sys.executable, "-m", "pip", "--python", self.python], "pytest": [self.python, "-m", "pytest"]}
        run = subprocess.run(
            [*how[program], *arguments], cwd=self.package, capture_output=True, text=True, timeout=110, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def card_encoder(self, args: list[str], log: Path) -> Process:
        """Start `card-encoder`, somewhere else."""
        program = [self.python, "-c", "from agent.cli import main; main()"]
        with log.open("ab") as out:
            return subprocess.Popen([*program, *args], cwd=log.parent, stdout=out, stderr=out)


def test_it_is_whole_in_under_forty_lines():
    tests = [command for command in COMMANDS if command.startswith("pytest ")]
    assert len(tests) == 1
    text = "\n".join([*FILES.values(), *tests])
    assert len([line for line in text.splitlines() if line.strip()]) < 40


def test_as_the_readme_says_it_is_tested_installed_and_encodes(tmp_path: Path):
    assert DRIVER not in registry.names()
    environment = Environment(tmp_path)
    printed = [environment.run(command) for command in COMMANDS]
    assert any(" passed" in output for output in printed)
    hands = TagHands(SimulatedTwn4())
    with running_sandbox(cards=0) as sandbox, sandbox.client() as service, Line.pty(hands.reader) as line:
        encoder = f'driver = "{DRIVER}"\n[encoder.options]\nport = "{line.port}"'
        daemon = Daemon(tmp_path, sandbox.url, sandbox.key, encoder=encoder, launch=environment.card_encoder)
        daemon.start()
        try:
            credential = create(service, NUMBER)
            card = hands.put()

            def issued() -> bool:
                answer = service.post("/acs/credentials/get", json={"acs_credential_id": credential}).json()
                return bool(answer["acs_credential"]["is_issued"])

            until(issued, "the credential to be issued")
        finally:
            daemon.kill(signal.SIGTERM)
    assert hands.holds(card) == NUMBER
