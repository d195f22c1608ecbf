"""The API key, and the credential service that takes it or doesn't."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator

from agent.config import Config, ConfigError
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from agent.service import NotAllowed, Refused, Service, ServiceError, Unreachable

_CONFIGURATION = 3
_SERVICE = 5
_PATIENCE_S = 15


def check_key(config: Config) -> Iterator[Finding]:
    """Whether there is a key, and whether others on this machine can read it."""
    try:
        config.service.api_key()
    except ConfigError as error:
        yield problem(
            "API key",
            _CONFIGURATION,
            "There is no API key that can be used.",
            str(error),
            "Write the key into the file and protect it: sudo install -m 0600 -o card-encoder KEYFILE "
            f"{config.service.api_key_file or '/etc/card-encoder/api-key'}",
        )
        return
    path = config.service.api_key_file
    if path is None:
        yield fine("API key", "There is one.", "from the systemd credential or the environment")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        others = f"sudo chmod 0600 {path}"
        yield hint("API key", "Others on this machine may read the API key.", f"{path} has mode {mode:04o}", others)
    else:
        yield fine("API key", "There is one, and only its owner can read it.", f"{path}, mode {mode:04o}")


def check_service(config: Config) -> Iterator[Finding]:
    """Whether the service answers, and takes the key."""
    endpoint = config.service.endpoint
    try:
        count = asyncio.run(_first_page(config))
    except ConfigError:
        yield skipped("service", "Without an API key it can't be asked.")
    except NotAllowed as error:
        fix = "Ask whoever runs the service for a key, and put it in the place of the old one."
        yield problem("service", _SERVICE, "The service does not take the API key.", f"{endpoint}: {error}", fix)
    except Refused as error:
        fix = "Check service.endpoint and service.acs_system_ids in the configuration."
        yield problem("service", _SERVICE, "The service refuses to list credentials.", f"{endpoint}: {error}", fix)
    except (ServiceError, TimeoutError) as error:
        cause = str(error) or f"no answer within {_PATIENCE_S} seconds"
        fix = f"Check the network and service.endpoint: curl -sS -o /dev/null {endpoint}"
        yield problem("service", _SERVICE, "The service does not answer.", f"{endpoint}: {cause}", fix)
    else:
        yield fine(
            "service", "It answers, and takes the API key.", f"{endpoint}, {count} credentials on the first page"
        )


async def _first_page(config: Config) -> int:
    service = Service(config.service)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for page in service.credentials():
                return len(page.items)
        raise Unreachable("The service's list has no page.")
    finally:
        await service.aclose()
