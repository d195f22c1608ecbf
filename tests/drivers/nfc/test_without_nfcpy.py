import subprocess
import sys

import pytest

WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("nfc", "usb1"):
            raise {error}

sys.meta_path.insert(0, Blocked())

from drivers import registry
from drivers.errors import EncoderNotOnline

driver = registry.load("nfc")
assert driver.attached() == []
for port in ("/dev/there-is-none", "usb"):
    encoder = driver("Desk", driver.options_model(port=port))
    try:
        encoder.open()
    except EncoderNotOnline as error:
        print(error)
    encoder.close()
    encoder.wait_for_device(0.01)
print("nfc" in sys.modules)
"""


def without(error):
    """What a process says in which nfcpy can't be imported."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(error=error)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_nfcpy_the_driver_says_how_to_get_it():
    *errors, imported = without('ImportError(f"no module named {name}")')
    assert len(errors) == 2
    assert all("pip install card-encoder-agent[nfc]" in error for error in errors)
    assert imported == "False"


def test_without_libusb_the_driver_says_how_to_get_it():
    *errors, _ = without('OSError("libusb-1.0.so.0: cannot open shared object file")')
    assert len(errors) == 2
    assert all("apt install libusb-1.0-0" in error for error in errors)


@pytest.mark.parametrize("module", ["driver", "codec", "greeting", "encoding", "usb", "simulator", "type4", "field"])
def test_all_but_two_modules_do_without_nfcpy(module):
    program = f"import sys; import drivers.nfc.{module}; print('nfc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
