"""Telling an encoder of the service's to encode or to scan, and simulating what comes of it."""

from __future__ import annotations

from agent.sandbox.answers import AnswerLost, invalid_parameter, one
from agent.sandbox.attempts import begin
from agent.sandbox.encoder_parameters import (
    EncodeOnEncoder,
    NextEncodeFails,
    NextEncodeSucceeds,
    NextScanFails,
    NextScanSucceeds,
    ScanOnEncoder,
)
from agent.sandbox.encoding import card_on
from agent.sandbox.kinds import ACTION_ATTEMPT, CREDENTIAL, ENCODER
from agent.sandbox.lookups import find
from agent.sandbox.operations import WRITE, Call, Operation, Operations
from agent.sandbox.store import Body, to_json
from agent.sandbox.turns import Turn, script_next, take_turn

_DONE = to_json({"ok": True})


def _encode(call: Call, asked: EncodeOnEncoder) -> str:
    """What may stand against it shows only when the attempt ends: until then the credential may change."""
    with call.store.transaction():
        encoder = find(call.store, ENCODER, asked.acs_encoder_id).body
        credential = find(call.store, CREDENTIAL, asked.acs_credential_id).body
        if credential["acs_system_id"] != encoder["acs_system_id"]:
            raise invalid_parameter("acs_credential_id", "is not a credential of the encoder's system")
        turn = take_turn(call.store, asked.acs_encoder_id, "ENCODE_CREDENTIAL", asked.acs_credential_id)
        attempt = None
        if turn.lost != "request":
            attempt = begin(call.store, "ENCODE_CREDENTIAL", turn, asked.acs_encoder_id, asked.acs_credential_id)
    return _answer(turn, attempt)


def _scan(call: Call, asked: ScanOnEncoder) -> str:
    with call.store.transaction():
        find(call.store, ENCODER, asked.acs_encoder_id)
        turn = take_turn(call.store, asked.acs_encoder_id, "SCAN_CREDENTIAL")
        attempt = None if turn.lost == "request" else begin(call.store, "SCAN_CREDENTIAL", turn, asked.acs_encoder_id)
    return _answer(turn, attempt)


def _answer(turn: Turn, attempt: Body | None) -> str:
    if turn.lost is not None or attempt is None:
        raise AnswerLost
    return one(ACTION_ATTEMPT, attempt)


def _encode_fails(call: Call, asked: NextEncodeFails) -> str:
    with call.store.transaction():
        find(call.store, ENCODER, asked.acs_encoder_id)
        if asked.acs_credential_id is not None:
            find(call.store, CREDENTIAL, asked.acs_credential_id)
        turn = Turn(error=asked.error_code, acs_credential_id=asked.acs_credential_id)
        script_next(call.store, asked.acs_encoder_id, "ENCODE_CREDENTIAL", turn)
    return _DONE


def _encode_succeeds(call: Call, asked: NextEncodeSucceeds) -> str:
    """As far as the credential lets it."""
    with call.store.transaction():
        find(call.store, ENCODER, asked.acs_encoder_id)
        script_next(call.store, asked.acs_encoder_id, "ENCODE_CREDENTIAL", Turn())
    return _DONE


def _scan_fails(call: Call, asked: NextScanFails) -> str:
    with call.store.transaction():
        find(call.store, ENCODER, asked.acs_encoder_id)
        if asked.acs_credential_id_on_seam is not None:
            find(call.store, CREDENTIAL, asked.acs_credential_id_on_seam)
        script_next(call.store, asked.acs_encoder_id, "SCAN_CREDENTIAL", Turn(error=asked.error_code))
    return _DONE


def _scan_succeeds(call: Call, asked: NextScanSucceeds) -> str:
    """A scenario with a credential needs one: that of the card on the encoder, or the one that is named."""
    named = asked.acs_credential_id_on_seam
    with call.store.transaction():
        find(call.store, ENCODER, asked.acs_encoder_id)
        if named is not None:
            find(call.store, CREDENTIAL, named)
        elif asked.names_a_credential and card_on(call.store, asked.acs_encoder_id) is None:
            raise invalid_parameter("acs_credential_id_on_seam", "is needed, since no card lies on the encoder")
        turn = Turn(scenario=asked.scenario, acs_credential_id=named)
        script_next(call.store, asked.acs_encoder_id, "SCAN_CREDENTIAL", turn)
    return _DONE


OPERATIONS: Operations = (
    Operation("/acs/encoders/encode_credential", WRITE, EncodeOnEncoder, _encode),
    Operation("/acs/encoders/scan_credential", WRITE, ScanOnEncoder, _scan),
    Operation("/acs/encoders/simulate/next_credential_encode_will_fail", WRITE, NextEncodeFails, _encode_fails),
    Operation(
        "/acs/encoders/simulate/next_credential_encode_will_succeed", WRITE, NextEncodeSucceeds, _encode_succeeds
    ),
    Operation("/acs/encoders/simulate/next_credential_scan_will_fail", WRITE, NextScanFails, _scan_fails),
    Operation("/acs/encoders/simulate/next_credential_scan_will_succeed", WRITE, NextScanSucceeds, _scan_succeeds),
)
