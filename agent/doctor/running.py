"""The running agent, and what it says of its encoders."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config import Config
from agent.control import AgentNotRunning, Control, ControlError, NotPermitted
from agent.doctor.finding import Finding, fine, problem, skipped
from drivers.errors import CATALOGUE, BridgeDisconnected, EncoderNotOnline

_NOT_RUNNING = 4


def check_agent(config: Config) -> Iterator[Finding]:
    """Whether the agent runs, and which of its encoders work. None is opened beside it."""
    socket = config.desk.socket
    try:
        with Control(socket) as control:
            state = control.get("/api/state", jobs=1)
    except NotPermitted as error:
        yield problem("agent", _NOT_RUNNING, error.message, str(socket), error.next_step or "")
    except AgentNotRunning as error:
        yield problem("agent", _NOT_RUNNING, "The agent is not running.", error.message, error.next_step or "")
    except ControlError as error:
        fix = "See its log: journalctl -u card-encoder"
        yield problem("agent", _NOT_RUNNING, "The agent runs, but does not answer as it should.", error.message, fix)
    else:
        yield fine("agent", "It runs.", f"it answers on {socket}")
        if trouble := state["claims"]["trouble"]:
            fix = "What is held here goes on. Check [claims] url, and that PostgreSQL runs and can be reached."
            yield problem("other desks", BridgeDisconnected.exit_code, "They are out of reach.", trouble, fix)
        for encoder in state["encoders"]:
            yield _encoder(encoder)
        if not state["encoders"]:
            fix = "Add an [[encoder]] to the configuration; `card-encoder discover` prints one to paste."
            yield problem("encoders", EncoderNotOnline.exit_code, "No encoder is configured.", "", fix)
        return
    yield skipped("encoders", "Only the running agent knows.")


def _encoder(encoder: dict[str, object]) -> Finding:
    check = f"encoder {encoder['name']}"
    if encoder["online"]:
        return fine(check, "It is online.", str(encoder["device"] or encoder["driver"]))
    trouble = encoder["trouble"]
    if not isinstance(trouble, dict):
        return skipped(check, "It is still being opened.")
    kind = CATALOGUE.get(trouble["type"], EncoderNotOnline)
    seen = trouble["message"].removesuffix(trouble["next_step"]).rstrip()
    return problem(check, kind.exit_code, "It does not work.", seen, trouble["next_step"])
