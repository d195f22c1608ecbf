"""The conversation, against a partner that says just what a test has it say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from drivers.enquiry import Check, Enquiry, Lost
from drivers.enquiry.frames import wrap
from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline, NoCredentialOnEncoder
from drivers.port import open_port
from drivers.port.simulated import Line

ENQ, ACK, NAK = b"\x05", b"\x06", b"\x15"
ASKED, ANSWER = b"\xb3LT\xb31\xb3", b"\xb3LT\xb31\xb3LD\xb3"
FRAME, ANSWER_FRAME = wrap(ASKED, Check.RAW), wrap(ANSWER, Check.RAW)


@dataclass
class Partner:
    """Answers each thing that the host says, in order, by the next of `says`; then by nothing."""

    says: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    came: bytes = b""
    send: Callable[[bytes], None] = lambda _: None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self.send, self.came, self.connections = send, b"", self.connections + 1

    def received(self, data: bytes) -> None:
        self.came += data
        while self.came:
            size = 1 if self.came[0] != 2 else self.came.find(3) + 2
            if (size < 2 and self.came[0] == 2) or len(self.came) < size:
                return
            self.heard.append(self.came[:size])
            self.came = self.came[size:]
            if self.says and (answer := self.says.pop(0)):
                self.send(answer)


@pytest.fixture
def partner() -> Partner:
    return Partner()


@pytest.fixture(params=[Line.pty, Line.tcp], ids=["pty", "tcp"])
def line(request: pytest.FixtureRequest, partner: Partner) -> Iterator[Line]:
    with request.param(partner) as line:
        yield line


def enquiry_at(line: Line, *, acknowledged: bool = False, answer_s: float = 0.15, ack_s: float = 0.1) -> Enquiry:
    return Enquiry(
        lambda: open_port(line.port, baud=9600),
        Check.RAW,
        ack_s=ack_s,
        answer_s=answer_s,
        tries=3,
        answers_are_acknowledged=acknowledged,
    )


@pytest.fixture
def enquiry(line: Line) -> Iterator[Enquiry]:
    enquiry = enquiry_at(line)
    yield enquiry
    enquiry.close()


def test_enquiry_message_answer(enquiry: Enquiry, partner: Partner):
    partner.says = [ACK, ACK + ANSWER_FRAME]
    assert enquiry.ask(ASKED) == ANSWER
    assert partner.heard == [ENQ, FRAME]


def test_a_patient_partner_is_asked_nothing_twice(line: Line, partner: Partner):
    partner.says = [ACK, ACK + ANSWER_FRAME] * 2
    enquiry = enquiry_at(line, ack_s=5, answer_s=5)
    enquiry.ask(ASKED)
    enquiry.ask(ASKED, changes=True)
    enquiry.close()
    assert partner.heard == [ENQ, FRAME] * 2
    assert partner.connections == 1 or line.port.startswith("/")


@pytest.mark.parametrize(
    "says",
    [
        [b"", ACK, ACK + ANSWER_FRAME],
        [NAK, NAK, ACK, ACK + ANSWER_FRAME],
        [b"\x00\x7f", ACK, ACK + ANSWER_FRAME],
        [ENQ + ACK, FRAME + ACK + ANSWER_FRAME],
        [ACK, ACK + b"\x00\x55" + ANSWER_FRAME + b"\x00"],
        [ACK, ACK + ACK + ANSWER_FRAME],
        [ACK, NAK, ACK, ACK + ANSWER_FRAME],
        [ACK, NAK + ACK + ANSWER_FRAME],
    ],
    ids=[
        "silence at first",
        "not ready at first",
        "noise at first",
        "an echo",
        "noise around the answer",
        "acknowledged twice",
        "the message was refused once",
        "the refusal is noise",
    ],
)
@pytest.mark.parametrize("changes", [False, True], ids=["reads", "changes"])
def test_what_may_be_put_up_with(enquiry: Enquiry, partner: Partner, says: list[bytes], changes: bool):
    partner.says = list(says)
    assert enquiry.ask(ASKED, changes=changes) == ANSWER


WRONG = ANSWER_FRAME[:-1] + bytes([ANSWER_FRAME[-1] ^ 0x40])


@pytest.mark.parametrize(
    "says",
    [
        [ACK, b""],
        [ACK, ACK],
        [ACK, ACK + WRONG],
        [ACK, WRONG],
        [ACK, ACK + ANSWER_FRAME[:4]],
        [ACK, ANSWER_FRAME],
        [ACK, NAK * 64],
    ],
)
def test_an_order_whose_fate_is_unknown_is_never_repeated(enquiry: Enquiry, partner: Partner, says: list[bytes]):
    partner.says = list(says)
    with pytest.raises(Lost):
        enquiry.ask(ASKED, changes=True)
    assert partner.heard.count(FRAME) == 1


@pytest.mark.parametrize("says", [[ACK, b""], [ACK, ACK + WRONG]])
def test_a_question_may_be_repeated(enquiry: Enquiry, partner: Partner, says: list[bytes]):
    partner.says = [*says, ACK, ACK + ANSWER_FRAME]
    assert enquiry.ask(ASKED) == ANSWER


def test_an_order_that_was_refused_three_times_was_never_taken(enquiry: Enquiry, partner: Partner):
    partner.says = [ACK, NAK] * 3
    with pytest.raises(EncoderCommunicationTimeout):
        enquiry.ask(ASKED, changes=True)
    assert partner.heard == [ENQ, FRAME] * 3


@pytest.mark.parametrize(
    "says",
    [
        [ACK, NAK + ANSWER_FRAME, ACK, ACK + ANSWER_FRAME],
        [ACK, NAK, ANSWER_FRAME + ACK, ACK + ANSWER_FRAME],
        [ACK, NAK, NAK + ANSWER_FRAME, ACK, ACK + ANSWER_FRAME],
        [ACK, NAK, b"", ANSWER_FRAME + ACK, ACK + ANSWER_FRAME],
    ],
    ids=["at once", "before the next acknowledgement", "after the next refusal", "after a silence"],
)
def test_an_order_that_was_refused_and_answered_is_not_repeated(enquiry: Enquiry, partner: Partner, says: list[bytes]):
    """The refusal was noise in the place of an acknowledgement: the order was carried out."""
    partner.says = list(says)
    with pytest.raises(Lost):
        enquiry.ask(ASKED, changes=True)
    assert partner.heard.count(FRAME) == 1


@pytest.mark.parametrize("changes", [False, True], ids=["reads", "changes"])
@pytest.mark.parametrize("says", [[], [NAK] * 9, [b"\x55" * 8192] * 9], ids=["silence", "NAKs", "garbage"])
def test_what_never_becomes_ready_gets_no_message(enquiry: Enquiry, partner: Partner, says: list[bytes], changes: bool):
    partner.says = list(says)
    with pytest.raises(EncoderCommunicationTimeout):
        enquiry.ask(ASKED, changes=changes)
    assert partner.heard == [ENQ] * 3


def test_a_question_without_an_answer(enquiry: Enquiry, partner: Partner):
    partner.says = [ACK, ACK]
    with pytest.raises(EncoderCommunicationTimeout) as caught:
        enquiry.ask(ASKED)
    assert caught.value.next_step
    assert partner.heard == [ENQ, FRAME], "a whole wait is not spent thrice"


def test_a_late_answer_is_not_taken_for_the_next_ones(line: Line, enquiry: Enquiry, partner: Partner):
    partner.says = [ACK, ACK]
    with pytest.raises(Lost):
        enquiry.ask(b"\xb3CN\xb31\xb3", changes=True)
    line.noise(wrap(b"\xb3LT\xb31\xb3101\xb3", Check.RAW))
    partner.says = [ACK, ACK + ANSWER_FRAME]
    assert enquiry.ask(ASKED) == ANSWER


@pytest.mark.parametrize("changes", [False, True], ids=["reads", "changes"])
def test_a_connection_that_was_closed_meanwhile_is_made_anew(partner: Partner, changes: bool):
    with Line.tcp(partner) as line:
        enquiry = enquiry_at(line, ack_s=2, answer_s=2)
        partner.says = [ACK, ACK + ANSWER_FRAME, ACK, ACK + ANSWER_FRAME]
        enquiry.ask(ASKED)
        line.unplug()
        line.plug()
        assert enquiry.ask(ASKED, changes=changes) == ANSWER
        enquiry.close()
    assert partner.connections == 2


@pytest.mark.parametrize(("changes", "error"), [(False, EncoderNotOnline), (True, Lost)], ids=["reads", "changes"])
def test_a_line_that_breaks_after_the_message(
    line: Line, enquiry: Enquiry, partner: Partner, changes: bool, error: type[Exception]
):
    partner.says = [ACK, ACK]

    def broken(data: bytes) -> bytes:
        if len(partner.heard) == 2:
            line.unplug()
        return data

    line.mangle = broken
    with pytest.raises(error):
        enquiry.ask(ASKED, changes=changes)


def test_a_repeated_answer_is_asked_for_where_the_protocol_has_that(line: Line, partner: Partner):
    enquiry = enquiry_at(line, acknowledged=True)
    partner.says = [ACK, ACK + WRONG, WRONG, ANSWER_FRAME]
    assert enquiry.ask(ASKED, changes=True) == ANSWER
    enquiry.close()
    assert partner.heard[:4] == [ENQ, FRAME, NAK, NAK]


def test_an_answer_is_acknowledged_where_the_protocol_has_that(line: Line, partner: Partner):
    enquiry = enquiry_at(line, acknowledged=True)
    partner.says = [ACK, ACK + ANSWER_FRAME, b"", ACK, ACK + ANSWER_FRAME]
    enquiry.ask(ASKED)
    enquiry.ask(ASKED)
    enquiry.close()
    assert partner.heard[:5] == [ENQ, FRAME, ACK, ENQ, FRAME]


def test_a_wait_ends_on_wake(line: Line, partner: Partner):
    enquiry = enquiry_at(line, ack_s=10, answer_s=30)

    def give_up() -> None:
        raise NoCredentialOnEncoder("enough")

    def woken(data: bytes) -> bytes:
        if len(partner.heard) == 2:
            enquiry.wake()
        return data

    line.mangle = woken
    partner.says = [ACK, ACK]
    with pytest.raises(NoCredentialOnEncoder):
        enquiry.ask(ASKED, on_wake=give_up)


def test_a_late_answer_before_the_acknowledgement_is_not_taken_either(enquiry: Enquiry, partner: Partner):
    late = wrap(b"\xb3LT\xb31\xb3101\xb3", Check.RAW)
    partner.says = [late + ACK, late + ACK + ANSWER_FRAME]
    assert enquiry.ask(ASKED) == ANSWER


def test_connecting_proves_that_the_software_is_there(enquiry: Enquiry, partner: Partner):
    with pytest.raises(EncoderNotOnline) as caught:
        enquiry.connect()
    assert "PMS interface" in caught.value.next_step
    partner.says = [ACK]
    enquiry.connect()
    enquiry.close()
    enquiry.close()
