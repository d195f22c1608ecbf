import pytest
from pydantic import BaseModel

from drivers.misspelt import unknown_key


class Door(BaseModel):
    name: str = ""
    floor: int = 0


class House(BaseModel):
    street: str = ""
    main: Door = Door()
    doors: list[Door] = []


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (("strete",), "unknown key; did you mean 'street'?"),
        (("zzz",), "unknown key; known here: doors, main, street."),
        (("main", "nmae"), "unknown key; did you mean 'name'?"),
        (("doors", 1, "flor"), "unknown key; did you mean 'floor'?"),
    ],
)
def test_the_nearest_key_is_named_or_all_of_them(location: tuple[str | int, ...], says: str) -> None:
    assert unknown_key(House, location) == says
