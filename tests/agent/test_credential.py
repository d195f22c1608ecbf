import contextlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credential import MalformedCredential, id_of, is_settled, read
from tests.agent.samples import ID, issued, waiting, warning

# Every property of the reference page, with values that this version doesn't know among them.
EVERY_PROPERTY = waiting(
    acs_credential_pool_id="3b4c0a1e-0d0f-4d3a-8b1f-4a3d8f0c1a2b",
    acs_user_id="0fc82df4-391b-4d00-a234-86378f1c3952",
    assa_abloy_vostio_metadata={
        "auto_join": True,
        "door_names": ["101"],
        "endpoint_id": "e1",
        "key_id": "k1",
        "key_issuing_request_id": "r1",
        "override_guest_acs_entrance_ids": ["a1b2c3d4-e5f6-4a3b-2c1d-0e9f8a7b6c5d"],
    },
    code="123456",
    errors=[{"error_code": "brand_new_error", "message": "m", "created_at": "2026-01-01T00:00:00Z", "extra": 1}],
    is_latest_desired_state_synced_with_provider=True,
    is_multi_phone_sync_credential=False,
    is_one_time_use=False,
    latest_desired_state_synced_with_provider_at="2026-11-18T16:54:17.946514Z",
    parent_acs_credential_id="6a0c1e54-5360-40db-8c31-4ef6baaad1fd",
    user_identity_id="7a0c1e54-5360-40db-8c31-4ef6baaad1fd",
    external_type="a_type_of_next_year",
    visionline_metadata={
        "auto_join": False,
        "card_function_type": "guest",
        "card_id": "5",
        "common_acs_entrance_ids": [],
        "credential_id": "15",
        "guest_acs_entrance_ids": ["a1b2c3d4-e5f6-4a3b-2c1d-0e9f8a7b6c5d"],
        "is_valid": True,
        "joiner_acs_credential_ids": [ID],
        "something_new": {"deep": [1, None]},
    },
    warnings=[warning("a_warning_of_next_year"), {**warning("schedule_modified"), "original_starts_at": "x"}],
    a_field_of_next_year={"deep": [True, 1.5, "x"]},
)


def test_every_property_survives_a_round_trip() -> None:
    assert read(EVERY_PROPERTY).as_sent() == EVERY_PROPERTY
    assert read(EVERY_PROPERTY).joins == (ID,)
    assert read(EVERY_PROPERTY).warning_codes == {"a_warning_of_next_year", "schedule_modified"}


def test_nulls_survive_too() -> None:
    raw = waiting() | {"card_number": None, "code": None, "issued_at": None, "ends_at": None}
    assert read(raw).as_sent() == raw


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda key: not hasattr(read(waiting()), key)), JSON))
def test_unknown_fields_survive(extra: dict[str, object]) -> None:
    raw = waiting() | extra
    assert json.loads(json.dumps(read(raw).as_sent())) == json.loads(json.dumps(raw))


@given(JSON)
def test_garbage_is_malformed_and_nothing_else(raw: object) -> None:
    with contextlib.suppress(MalformedCredential):
        read(raw)
    is_settled(raw)
    id_of(raw)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"is_issued": "no"}, "is_issued"),
        ({"is_issued": 0}, "is_issued"),
        ({"ends_at": "soon"}, "ends_at"),
        ({"card_number": ""}, "card_number"),
        ({"card_number": "12\n34"}, "card_number"),
        ({"card_number": "12\u202e34"}, "card_number"),
        ({"card_number": 42}, "card_number"),
        ({"access_method": None}, "access_method"),
        ({"warnings": "waiting"}, "warnings"),
        ({"warnings": [{"message": "no code"}]}, "warnings.0.warning_code"),
    ],
)
def test_what_a_decision_rests_on_is_checked(changes: dict[str, object], field: str) -> None:
    raw = waiting(**changes)
    with pytest.raises(MalformedCredential) as caught:
        read(raw)
    assert field in caught.value.problem
    assert caught.value.raw is raw


def test_a_thousand_problems_make_no_long_message() -> None:
    with pytest.raises(MalformedCredential, match="and 997 more") as caught:
        read(waiting(warnings=[{}] * 1000))
    assert len(caught.value.problem) < 300


@pytest.mark.parametrize(
    "ends_at",
    [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-11-23T12:00:00+13:45",
        "2026-11-23T12:00:00",
        "2026-11-23",
        "2026-12-31T23:59:60Z",
        "9999-12-31T23:59:59.999999-12:00",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_odd_times_are_times(ends_at: str) -> None:
    credential = read(waiting(ends_at=ends_at))
    assert credential.as_sent()["ends_at"] == ends_at
    assert credential.ends is not None
    assert credential.ends.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "ends_at",
    [
        "10000-01-01T00:00:00Z",
        "+12026-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "1795435200",
        "never",
    ],
)
def test_what_is_no_time_is_malformed(ends_at: str) -> None:
    with pytest.raises(MalformedCredential, match=r"ends_at: .*ISO 8601"):
        read(waiting(ends_at=ends_at))


@pytest.mark.promise(8)
def test_secrets_stay_out_of_errors_and_reprs() -> None:
    secret = "4242-secret"
    with pytest.raises(MalformedCredential) as caught:
        read(waiting(card_number=[secret], display_name=secret, ends_at=secret))
    assert secret not in str(caught.value)
    assert secret not in repr(read(waiting(card_number=secret, code=secret, display_name=secret)))


@pytest.mark.parametrize(
    ("raw", "settled"),
    [
        (issued(), True),
        (waiting(access_method="mobile_key"), True),
        (waiting(access_method="code"), True),
        (waiting(), False),
        (issued(warnings=[warning("needs_to_be_reissued")]), False),
        (waiting(is_issued=None), False),
        (waiting(access_method="a_method_of_next_year"), False),
        ("garbage", False),
        (None, False),
    ],
)
def test_settled_is_told_cheaply(raw: object, settled: bool) -> None:
    assert is_settled(raw) is settled


def test_the_seed_examples_are_read() -> None:
    page = Path(__file__).parents[3] / "shared" / "seed" / "000_08af8ee9247edbf3.txt"
    if not page.exists():
        pytest.skip("the reference page isn't here")
    examples = [json.loads(part.split("```")[0]) for part in page.read_text().split("```json")[1:4]]
    assert [read(example).as_sent() for example in examples] == examples
    assert [example["access_method"] for example in examples] == ["card", "mobile_key", "code"]
