"""What the server refuses, and in which words.

The body `{status, code, resource, message, developerMessage}` and the code 40401 with status 404 are documented by one
public source, a fake server; the list of codes is not public. **Every other code here is made up**: nobody may rely on
more than the status and the form.
"""

from __future__ import annotations

import json


class Refusal(Exception):
    """A request that is not carried out. `resource` names what it was about, where that is no secret."""

    def __init__(self, status: int, code: int, message: str, resource: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.resource = resource

    def body(self) -> str:
        """The documented form, as JSON."""
        return json.dumps(
            {
                "status": self.status,
                "code": self.code,
                "resource": self.resource,
                "message": self.message,
                "developerMessage": f"sandbox: {self.message}",
            }
        )


def bad_request(message: str, resource: str | None = None) -> Refusal:
    """The request isn't of the form that it must have."""
    return Refusal(400, 40001, message, resource)


def wrong_digest() -> Refusal:
    """Content-MD5 is missing, or of another body."""
    return Refusal(400, 40002, "Content-MD5 is not that of the body.")


def no_session() -> Refusal:
    """The session is unknown, over or forgotten, or none was named."""
    return Refusal(401, 40101, "There is no such session.")


def wrong_signature() -> Refusal:
    """The signature isn't the one that the access key makes."""
    return Refusal(401, 40102, "The signature does not match the request.")


def wrong_date() -> Refusal:
    """Date is missing, no date, or too far from the server's clock."""
    return Refusal(401, 40103, "The date of the request is too far from the server's time.")


def wrong_password() -> Refusal:
    """User name or password is wrong."""
    return Refusal(401, 40104, "The user name or the password is wrong.")


def not_yours() -> Refusal:
    """The session is somebody else's."""
    return Refusal(403, 40301, "A session can only end itself.")


def unknown_door() -> Refusal:
    """There is no such door. It isn't named: guests' rooms don't belong in error messages."""
    return Refusal(404, 40401, "There is no such door.", "doors")


def unknown_card() -> Refusal:
    """There is no such card."""
    return Refusal(404, 40402, "There is no such card.", "cards")


def unknown_encoder() -> Refusal:
    """There is no encoder of this name."""
    return Refusal(404, 40403, "There is no such encoder.", "encoders")


def unknown_path() -> Refusal:
    """There is no such resource."""
    return Refusal(404, 40400, "There is no such resource.")


def nobody_to_join() -> Refusal:
    """It was to join, and no guest has a valid card for these doors."""
    return Refusal(409, 40901, "There is no valid guest card to join.", "cards")


def guests_there() -> Refusal:
    """It was neither to join nor to override, and guests have valid cards."""
    return Refusal(409, 40902, "There are valid guest cards: say autoJoin or override.", "cards")


def card_in_use() -> Refusal:
    """The card on the encoder is a valid key, and overwriteValidCard wasn't said."""
    return Refusal(409, 40903, "The card on the encoder is still valid: say overwriteValidCard.", "encoders")


def no_card() -> Refusal:
    """Nobody put a card on the encoder in time."""
    return Refusal(409, 40904, "There is no card on the encoder.", "encoders")


def encoder_offline() -> Refusal:
    """The encoder doesn't answer the server."""
    return Refusal(409, 40905, "The encoder is not online.", "encoders")


def card_too_small() -> Refusal:
    """The card on the encoder has no room for this format."""
    return Refusal(409, 40906, "The card on the encoder is too small for this format.", "encoders")


def not_written() -> Refusal:
    """The card was taken away while it was written, or refused a page."""
    return Refusal(409, 40907, "The card on the encoder could not be written.", "encoders")


def out_of_order() -> Refusal:
    """Made to fail on demand, before anything was done."""
    return Refusal(409, 40999, "The server was told to refuse this.")


def internal_error() -> Refusal:
    """Made to fail on demand."""
    return Refusal(500, 50000, "The server was told to fail.")
