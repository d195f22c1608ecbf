"""What can go wrong with Visionline's server. Each says whether what was asked for may have been carried out.

`Unanswered`: it may have been. `NotReached`: surely not, nothing was sent. `Refused`: no, the server says so. All
others end the conversation before anything is carried out: the server isn't spoken to, or doesn't know who speaks
(believed, not verified: what a server answers by 401 it has not carried out).

Nothing of what the server says in words gets into a message: it may name guests, rooms and sessions.
"""

from __future__ import annotations

from drivers.errors import BridgeDisconnected, EncoderNotOnline, UncategorizedError


class NotReached(BridgeDisconnected):
    """Nothing was sent of what was asked for: no server there, no secure connection, or no session came of it."""

    default_next_step = (
        "See that the Visionline server runs and that the network is well, and that the option `server` names it; then "
        "try again. Nothing was asked of it."
    )


class Unanswered(BridgeDisconnected):
    """It was sent, and no answer says what became of it."""

    default_next_step = (
        "See that the Visionline server runs and that the network is well; then try again. What it has done by now is "
        "found out before anything is asked of it once more."
    )


class Refused(UncategorizedError):
    """A clear no. `status` is the HTTP status; `code` is Visionline's own, None where it gives none."""

    default_next_step = (
        "Look the code up in Visionline's log, or ask who looks after Visionline: most often a door, an encoder or a "
        "right of the agent's user is missing there."
    )

    def __init__(
        self, message: str, *, status: int = 400, code: int | str | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step, status=status, code=code)
        self.status = status
        self.code = code


class ServerAway(EncoderNotOnline):
    """No session could be opened, since the server isn't there or makes no sense."""

    default_next_step = (
        "See that the Visionline server runs and that the network is well, and that the option `server` names it."
    )


class NoPassword(EncoderNotOnline):
    """The password can't be read."""

    default_next_step = (
        "Write the password of the agent's Visionline user into the file that the option `password_file` names, "
        "readable for the agent alone."
    )


class WrongPassword(EncoderNotOnline):
    """The server doesn't take the user's name and password."""

    default_next_step = (
        "Compare the option `username` and the file of `password_file` with the user that was made for the agent in "
        "Visionline. A new password is tried at once; the old one only after some minutes, so that it locks nobody out."
    )


class SessionRefused(EncoderNotOnline):
    """The server gives no session, or doesn't take the one that it has just given."""

    default_next_step = (
        "See in Visionline that its Web API is licensed and switched on, and that the agent's user may use it; then "
        "restart the agent."
    )


class WrongSignature(SessionRefused):
    """The server says that it finds another signature than the one that was sent."""

    default_next_step = (
        "See that nothing between the agent and the Visionline server (a proxy, a gateway) changes requests. If there "
        "is nothing, this version of Visionline signs in another way: report it to the agent's makers."
    )


class ClockSkew(EncoderNotOnline):
    """The server refuses what was dated, and its clock is far from this machine's."""

    default_next_step = (
        "Set both clocks by NTP (`timedatectl` shows this machine's), then restart the agent. If it is refused still, "
        "compare the agent's user and password with those in Visionline."
    )


class CertificateChanged(EncoderNotOnline):
    """The server has another certificate than the one whose fingerprint is configured. Nothing was sent to it."""


class CertificateUnknown(EncoderNotOnline):
    """Nobody who is trusted vouches for the server's certificate. Nothing was sent to it."""


class NoAuthority(EncoderNotOnline):
    """The file with the authority's certificates can't be used."""

    default_next_step = (
        "Put the certificate of the authority that issued the Visionline server's, in PEM form, into the file that the "
        "option `ca_file` names, readable by the agent."
    )
