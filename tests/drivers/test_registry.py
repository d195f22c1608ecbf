import sys

import pytest

from drivers import registry
from drivers.pcsc.driver import PcscEncoder
from drivers.virtual.driver import VirtualEncoder


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install packages that offer drivers, each with the files that a real one would leave."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package: str, entry_points: str, source: str = "") -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry_points}\n")
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


def test_our_own_drivers_are_there():
    assert {"pcsc", "virtual"} <= set(registry.names())
    assert registry.load("pcsc") is PcscEncoder
    assert registry.load("virtual") is VirtualEncoder


def test_a_driver_of_others_is_found(install):
    install("acme", "acme = acme:Acme", "import drivers.virtual.driver as d\nclass Acme(d.VirtualEncoder): ...")
    assert "acme" in registry.names()
    assert registry.load("acme").__name__ == "Acme"


def test_an_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(registry.DriverError, match=r"Did you mean 'pcsc'\?.*virtual"):
        registry.load("pscs")


def test_a_far_off_name_gets_the_list_alone():
    with pytest.raises(registry.DriverError, match="Installed:") as caught:
        registry.load("xyzzy")
    assert "mean" not in str(caught.value)


def test_two_of_one_name_are_refused_and_named(install):
    install("acme", "door = acme:One", "One = None")
    install("umbrella", "door = umbrella:Two", "Two = None")
    with pytest.raises(registry.DriverError, match=r"acme \(acme:One\) and umbrella \(umbrella:Two\)"):
        registry.load("door")


def test_a_driver_that_needs_something_missing_says_what(install):
    install("acme", "acme = acme:Acme", "import acme_firmware_blob")
    with pytest.raises(registry.DriverError, match=r"acme \(acme:Acme\) does not load: .*acme_firmware_blob"):
        registry.load("acme")


@pytest.mark.parametrize("source", ["Acme = 7", "class Acme: ..."])
def test_something_else_than_an_encoder_is_refused(install, source):
    install("acme", "acme = acme:Acme", source)
    with pytest.raises(registry.DriverError, match="no encoder"):
        registry.load("acme")
