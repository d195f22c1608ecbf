from pathlib import Path

import pytest

from agent.config import ConfigError, build, load
from tests.agent.unseen import drivers
from tests.agent.vendor import drivers as ordering_drivers

__all__ = ["drivers", "ordering_drivers"]

GOOD = """\
[service]
endpoint = "https://service.example"
api_key_file = "/etc/card-encoder/api-key"
poll_interval_s = 2.0

[[encoder]]
name = "Front desk 1"
driver = "pcsc"
[encoder.options]
reader = "*ACR122*"

[[encoder]]
name = "Front desk 2"
driver = "virtual"
mode = "attended"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_the_documented_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert [encoder.name for encoder in config.encoder] == ["Front desk 1", "Front desk 2"]
    assert (config.encoder[0].mode, config.encoder[0].overwrite) == ("auto", "expired")
    assert config.desk.address == ("127.0.0.1", 8460)
    assert str(config.desk.socket) == "/run/card-encoder/control.sock"
    assert str(config.journal.path) == "/var/lib/card-encoder/journal.sqlite3"
    assert config.service.report_path == "/acs/credentials/report_issued"


def test_a_claims_database_with_a_password(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD + '[claims]\nurl = "postgresql://me:secret@db/desks"\n'))
    assert config.claims.shared
    assert "secret" not in f"{config} {config!r}"
    assert not load(written(tmp_path, GOOD)).claims.shared


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


BAD = [
    ("misspelt key", changed("poll_interval_s", "pol_interval_s"), "line 4: service.pol_interval_s", "poll_interval_s"),
    ("misspelt section", changed("[service]", "[servce]"), "line 1: servce", "did you mean 'service'"),
    ("unknown section", GOOD + "\n[zzz]\n", "line 17: zzz", "known here"),
    ("misspelt in the first table", changed('driver = "pcsc"', 'drivr = "pcsc"'), "line 8: encoder[1].drivr", "driver"),
    ("misspelt in the second table", changed("mode =", "moed ="), "line 15: encoder[2].moed", "did you mean 'mode'"),
    ("wrong value", changed('"attended"', '"sometimes"'), "line 15: encoder[2].mode", "'auto' or 'attended'"),
    ("wrong type", changed("2.0", '"often"'), "line 4: service.poll_interval_s", "number"),
    ("zero", changed("2.0", "0"), "line 4: service.poll_interval_s", "greater than 0"),
    ("plain http", changed("https:", "http:"), "line 2: service.endpoint", "only taken on loopback"),
    ("no address", changed("https://service.example", "service"), "line 2: service.endpoint", "https://"),
    ("password", changed("https://", "https://me:secret@"), "line 2: service.endpoint", "api_key_file"),
    (
        "missing endpoint",
        changed('endpoint = "https://service.example"\n', ""),
        "line 1: service.endpoint",
        "is missing",
    ),
    ("missing service", "[claims]\ndesk = 'x'\n", "service", "is missing"),
    ("unknown driver", changed('"pcsc"', '"pcsk"'), "line 8: encoder[1].driver", "pcsc"),
    ("driver's option", changed("reader =", "raeder ="), "line 10: encoder[1].options.raeder", "did you mean 'reader'"),
    ("same name", changed("desk 2", "desk 1"), "line 6: encoder: two", "encoders are called 'Front desk 1'"),
    ("open to the world", GOOD + '[desk]\nlisten = "0.0.0.0:8460"\n', "line 17: desk.listen", "loopback"),
    ("no port", GOOD + '[desk]\nlisten = "127.0.0.1"\n', "line 17: desk.listen", "HOST:PORT"),
    (
        "relative report path",
        changed("poll_interval_s = 2.0", 'report_path = "x"'),
        "line 4: service.report_path",
        "^/",
    ),
    (
        "claims at a database of another kind",
        GOOD + '[claims]\nurl = "mysql://x"\n',
        "line 17: claims.url",
        "postgresql",
    ),
    ("not TOML", "[service\n", "is not TOML", "line 1"),
]


@pytest.mark.parametrize(("text", "where", "hint"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_errors_name_the_line_the_key_and_what_to_write(tmp_path: Path, text: str, where: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert where in str(caught.value)
    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config FILE"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
def test_plain_http_on_loopback(tmp_path: Path, host: str) -> None:
    config = load(written(tmp_path, GOOD.replace("https://service.example", f"http://{host}:8461/")))
    assert config.service.endpoint == f"http://{host}:8461"


def test_ipv6_desk(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD + '[desk]\nlisten = "[::1]:0"\n')).desk.address == ("::1", 0)


@pytest.mark.parametrize(
    ("reads", "mode", "good"), [("true", "auto", True), ("false", "attended", True), ("false", "auto", False)]
)
def test_an_encoder_that_can_see_nothing_writes_nothing_by_itself(
    tmp_path: Path, reads: str, mode: str, good: bool
) -> None:
    text = GOOD[: GOOD.index("[[encoder]]")] + (
        f'[[encoder]]\nname = "Keys"\ndriver = "pms"\nmode = "{mode}"\n[encoder.options]\nreads = {reads}\n'
    )
    if good:
        assert load(written(tmp_path, text)).encoder[0].mode == mode
    else:
        with pytest.raises(ConfigError, match=r'encoder\[1\].mode.*"attended"'):
            load(written(tmp_path, text))


BOTH = """\
[service]
endpoint = "https://service.example"
[[encoder]]
name = "Chips"
driver = "virtual"
{chips}
[[encoder]]
name = "Keys"
driver = "keymaking"
{keys}
"""


def both(tmp_path: Path, chips: str, keys: str) -> Path:
    return written(tmp_path, BOTH.format(chips=chips, keys=keys))


@pytest.mark.usefixtures("drivers")
@pytest.mark.parametrize(
    ("chips", "keys", "line"),
    [
        ("", "", 3),
        ('acs_system_ids = ["a"]', "", 6),
        ("", 'acs_system_ids = ["b"]', 3),
        ('acs_system_ids = ["a", "b"]', 'acs_system_ids = ["b"]', 6),
    ],
)
@pytest.mark.promise(4)
def test_one_credential_must_not_become_two_things(tmp_path: Path, chips: str, keys: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        load(both(tmp_path, chips, keys))
    assert f"line {line}: encoder[1]" in str(caught.value)
    assert "'Chips' writes card numbers, and 'Keys' has keys made" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("drivers")
def test_both_kinds_where_their_systems_are_named(tmp_path: Path) -> None:
    config = load(both(tmp_path, 'acs_system_ids = ["a"]', 'acs_system_ids = ["b", "c"]'))
    assert [encoder.acs_system_ids for encoder in config.encoder] == [("a",), ("b", "c")]


@pytest.mark.usefixtures("drivers")
def test_two_of_one_kind_need_no_systems(tmp_path: Path) -> None:
    text = BOTH.format(chips="", keys="")
    load(written(tmp_path, text.replace('driver = "keymaking"', 'driver = "swiped"')))
    load(written(tmp_path, text.replace('driver = "virtual"', 'driver = "keymaking"')))


ONE = """\
[service]
endpoint = "https://service.example"
kind = "{kind}"
[[encoder]]
name = "{driver}"
driver = "{driver}"
mode = "attended"
[encoder.options]
{options}
"""
SERVED = ("native", 'takes = "service"')


@pytest.mark.usefixtures("ordering_drivers")
def test_a_service_that_takes_no_reports_has_its_own_encoders_alone(tmp_path: Path) -> None:
    driver, options = SERVED
    config = load(written(tmp_path, ONE.format(kind="seam", driver=driver, options=options)))
    assert config.service.kind == "seam"
    load(written(tmp_path, ONE.format(kind="bridge", driver=driver, options=options)))
    for other, others in (("virtual", ""), ("native", ""), ("carded", ""), ("native", 'takes = "keys"')):
        with pytest.raises(ConfigError) as caught:
            load(written(tmp_path, ONE.format(kind="seam", driver=other, options=others)))
        assert "line 6: encoder[1].driver" in str(caught.value)
        assert "'seam' serves there" in str(caught.value)


def test_no_third_kind_of_service(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 3: service\.kind.*'bridge' or 'seam'"):
        load(written(tmp_path, ONE.format(kind="cloud", driver="virtual", options="")))


KINDS = {
    "numbers": ("virtual", ""),
    "keys": ("native", 'takes = "keys"'),
    "images": ("carded", ""),
    "native": ("native", ""),
    "service": SERVED,
}
WORDS = {
    "numbers": "writes card numbers",
    "keys": "has keys made by its vendor's encoder",
    "images": "writes what Visionline's server makes",
    "native": "is driven by Visionline's server",
    "service": "is driven by the service",
}
AT_ODDS = [
    {"numbers", "keys"},
    {"numbers", "service"},
    {"keys", "service"},
    {"images", "native"},
    {"images", "service"},
    {"native", "service"},
]
"""Which two would make different things of one credential. Visionline's and all others go beside each other."""


def two(tmp_path: Path, first: str, second: str, *systems: str) -> Path:
    text = '[service]\nendpoint = "https://service.example"\n'
    for kind, system in zip((first, second), systems or ("", ""), strict=True):
        driver, options = KINDS[kind]
        name = f"{kind} {len(text)}"
        text += f'[[encoder]]\nname = "{name}"\ndriver = "{driver}"\nmode = "attended"\n{system}\n'
        text += f"[encoder.options]\n{options}\n"
    return written(tmp_path, text)


@pytest.mark.usefixtures("ordering_drivers")
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.promise(4)
def test_which_encoders_would_make_two_things_of_one_credential(tmp_path: Path, first: str, second: str) -> None:
    if {first, second} not in AT_ODDS:
        load(two(tmp_path, first, second))
        return
    with pytest.raises(ConfigError) as caught:
        load(two(tmp_path, first, second))
    for kind in (first, second):
        assert f"'{kind} " in str(caught.value)
        assert WORDS[kind] in str(caught.value)
    load(two(tmp_path, first, second, 'acs_system_ids = ["a"]', 'acs_system_ids = ["b"]'))


@pytest.mark.usefixtures("ordering_drivers")
def test_an_encoder_that_the_service_drives_is_told_where_that_is(tmp_path: Path) -> None:
    """And reads the key anew each time: it may have been replaced."""
    driver, options = SERVED
    config = load(written(tmp_path, ONE.format(kind="seam", driver=driver, options=options)))
    (tmp_path / "key").write_text("seam_one")
    service = config.service.model_copy(update={"api_key_file": tmp_path / "key"})
    assert build(config.encoder[0]).service is None
    access = build(config.encoder[0], service).service
    assert access is not None
    assert access.endpoint == "https://service.example"
    assert access.api_key().get_secret_value() == "seam_one"
    (tmp_path / "key").write_text("seam_two")
    assert access.api_key().get_secret_value() == "seam_two"
    assert "seam_" not in repr(access)
    (tmp_path / "key").unlink()
    with pytest.raises(ValueError, match="api_key_file"):
        access.api_key()
