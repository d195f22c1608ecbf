"""What every command shares: `--config` and `--json`, before the command's name or after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.output import Output

if TYPE_CHECKING:
    from agent.config import Config
    from agent.control import Control

DEFAULT_CONFIG = Path("/etc/card-encoder/config.toml")


@dataclass
class Invocation:
    """One call of the program."""

    output: Output
    config_path: Path = DEFAULT_CONFIG

    def config(self) -> Config:
        """The configuration.

        Raises:
            ConfigError: it can't be used.
        """
        from agent.config import load

        return load(self.config_path)

    def control(self) -> Control:
        """The way to the running agent.

        Raises:
            ConfigError: the configuration that says where it is can't be used.
        """
        from agent.control import Control

        return Control(self.config().desk.socket)


class _Shared:
    """Adds the two options to a click command or group."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_OPTIONS]  # type: ignore[misc]


class Command(_Shared, click.Command):
    """A command that takes `--config` and `--json`."""


class Group(_Shared, click.Group):
    """The program: its options may also follow the command."""

    command_class = Command


def _keep_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        invocation: Invocation = ctx.obj
        invocation.config_path = value


def _option(*declarations: str, **settings: Any) -> click.Option:
    return click.Option(declarations, expose_value=False, **settings)


_OPTIONS = [
    _option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        callback=_keep_config,
        help=f"The configuration (default {DEFAULT_CONFIG}).",
    ),
    # `app.main` looks for it before anything is parsed, so that usage errors are JSON too.
    _option("--json", is_flag=True, help="One JSON object on stdout, and nothing else."),
]
