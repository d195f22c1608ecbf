"""The program: its commands, and what becomes of whatever they raise.

Commands import what they need when they run, so that `--help` and mistakes in the call answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import click

from agent.cli.audit import audit
from agent.cli.cards import encode, reencode, scan
from agent.cli.discover import discover
from agent.cli.doctor import doctor
from agent.cli.failures import USAGE, CommandFailed, Failure, failure_of
from agent.cli.invocation import Group, Invocation
from agent.cli.jobs import cancel, hold, queue, resume
from agent.cli.output import Output
from agent.cli.run import run
from agent.cli.sandbox import sandbox
from agent.cli.state import encoders, status

DEBUG_VARIABLE = "CARD_ENCODER_DEBUG"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("card-encoder-agent"), prog_name="card-encoder")
def program() -> None:
    """Issues waiting card credentials: writes the card, reads it back, and only then says issued.

    Exit codes: 0 done, 1 bug, 2 usage, 3 configuration, 4 agent not running, 5 service unreachable or refusing;
    10 to 19 are the error types of the README.
    """


for command in (
    run,
    encode,
    reencode,
    scan,
    queue,
    cancel,
    hold,
    resume,
    encoders,
    discover,
    status,
    audit,
    doctor,
    sandbox,
):
    program.add_command(command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(call(list(sys.argv[1:] if args is None else args)))


def call(args: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    options = args[: args.index("--")] if "--" in args else args
    output = Output(as_json="--json" in options)
    try:
        with output.guarded():
            return _run(args, Invocation(output))
    except click.UsageError as error:
        return _usage(output, error)
    except (click.Abort, KeyboardInterrupt):
        output.failure(
            Failure(128 + signal.SIGINT, "interrupted", "Stopped.", "What was asked of the agent goes on: see `queue`.")
        )
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever reads has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last one: what nobody foresaw becomes exit code 1
        return _failed(output, error)


def _run(args: list[str], invocation: Invocation) -> int:
    result = program.main(args, prog_name="card-encoder", obj=invocation, standalone_mode=False)
    return result if isinstance(result, int) else 0


def _usage(output: Output, error: click.UsageError) -> int:
    where = error.ctx.command_path if error.ctx else "card-encoder"
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        message = f"What is it to do? {where} --help lists the commands." if output.as_json else message
    output.failure(Failure(USAGE, "usage", message, f"See {where} --help."))
    return USAGE


def _failed(output: Output, error: Exception) -> int:
    failure = failure_of(error)
    if failure.exit_code == 1 and os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    output.failure(failure, **(error.more if isinstance(error, CommandFailed) else {}))
    return failure.exit_code
