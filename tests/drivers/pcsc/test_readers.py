import pytest

from drivers.pcsc.holders import likely_holders
from drivers.pcsc.readers import Reader, Wanted, usb_path

ACR = Reader("ACS ACR1252 1S CL Reader [ACR1252 1S CL Reader PICC] (RR554-012345) 00 00", usb_path="1-1.2")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted("*acr1252*"),
        Wanted(ACR.name),
        Wanted(serial="RR554-012345"),
        Wanted(usb_path="1-1.2"),
        Wanted(usb_path="/sys/bus/usb/devices/1-1.2/"),
        Wanted("*PICC*", "RR554-012345", "1-1.2"),
    ],
)
def test_a_reader_that_fits(wanted):
    assert wanted.fits(ACR)


@pytest.mark.parametrize(
    "wanted", [Wanted("*ACR122U*"), Wanted(serial="RR554"), Wanted(usb_path="1-1"), Wanted("*PICC*", usb_path="1-1.3")]
)
def test_a_reader_that_does_not_fit(wanted):
    assert not wanted.fits(ACR)


def test_a_serial_number_the_driver_tells_fits_too():
    assert Wanted(serial="0123").fits(Reader("Some Reader 00 00", serial="0123"))


def test_the_usb_path_is_found_by_bus_and_address(tmp_path):
    for name, bus, address in (("usb1", 1, 1), ("1-1", 1, 9), ("1-1.2", 1, 23), ("3-1", 3, 23)):
        device = tmp_path / name
        device.mkdir()
        (device / "busnum").write_text(f"{bus}\n")
        (device / "devnum").write_text(f"{address}\n")
    (tmp_path / "1-1.2:1.0").mkdir()
    assert usb_path((0x0020 << 16 | 1 << 8 | 23).to_bytes(4, "little"), tmp_path) == "1-1.2"
    assert usb_path((0x0020 << 16 | 2 << 8 | 23).to_bytes(4, "little"), tmp_path) == ""
    assert usb_path((0x0001 << 16 | 1 << 8 | 23).to_bytes(4, "little"), tmp_path) == ""
    assert usb_path(b"", tmp_path) == ""


@pytest.fixture
def proc(tmp_path):
    def process(pid: int, name: str, maps: str | None) -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(name + "\n")
        if maps is not None:
            (tmp_path / str(pid) / "maps").write_text(maps)

    (tmp_path / "self").mkdir()
    process(10, "pcscd", "7f00 r-xp /usr/lib/libpcsclite.so.1\n")
    process(11, "ykman", "7f00 r-xp /usr/lib/libpcsclite.so.1.0.0\n")
    process(12, "bash", "7f00 r-xp /usr/lib/libc.so.6\n")
    process(13, "scdaemon", None)  # another user's: its name is all that can be seen
    process(14, "sshd", None)
    return tmp_path


def test_a_name_that_the_kernel_cut_through_a_letter_is_shown_as_far_as_it_goes(proc):
    (proc / "11" / "comm").write_bytes("Schlüsselbüro".encode()[:12] + b"\n")
    (proc / "14" / "comm").write_bytes(b"\xff\xfe\n")
    assert sorted(likely_holders(proc)) == ["Schlüsselb\ufffd (process 11)", "scdaemon (process 13)"]


def test_processes_that_use_smart_cards_are_suspected(proc):
    assert sorted(likely_holders(proc)) == ["scdaemon (process 13)", "ykman (process 11)"]
