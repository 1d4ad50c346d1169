"""The demonstration's amends.toml is a right configuration, and whoever starts it has a seat at the desk."""

from __future__ import annotations

import pytest

from amends.casework.actors import identify
from amends.config import load
from daemon.demo.configuration import Wiring, login_of, write_configuration
from daemon.demo.photos import HEIGHT, WIDTH, photo


def _wiring(user="sam"):
    return Wiring(imap_port=1143, smtp_port=1025, password='p"w\\', speed=1440.0, user=user)


def test_it_loads_and_is_for_its_owner_alone(tmp_path):
    path = write_configuration(tmp_path, _wiring())
    settings = load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert settings.organisation.demonstration and settings.clock.speed == 1440.0
    assert settings.password(settings.mailbox[0]) == 'p"w\\'
    assert settings.smtp is not None and settings.smtp.wants_receipts
    assert settings.database_url() == f"sqlite:///{tmp_path.resolve()}/amends.db"


@pytest.mark.parametrize(
    ("user", "login", "role"),
    [
        ("sam", "sam", "supervisor"),
        ("Sam.Lee", "sam.lee", "supervisor"),
        ("priya", "priya", "handler"),
        ("DOMAIN\\sam", "ruth", "supervisor"),
        ("", "ruth", "supervisor"),
    ],
)
def test_whoever_starts_it_can_sit_down(tmp_path, user, login, role):
    settings = load(write_configuration(tmp_path, _wiring(user)))
    assert login_of(user) == login
    assert identify(settings, login_of(user)).role == role


def test_the_pictures_are_pictures_and_the_same_each_time():
    png, jpeg = photo("ceiling.png"), photo("IMG_1.jpg")
    assert png == photo("ceiling.png") and png[1] == "image/png" and jpeg[1] == "image/jpeg"
    assert png[0].startswith(b"\x89PNG\r\n\x1a\n") and png[0][16:24] == WIDTH.to_bytes(4) + HEIGHT.to_bytes(4)
    assert jpeg[0].startswith(b"\xff\xd8\xff\xe0") and jpeg[0].endswith(b"\xff\xd9")
    assert jpeg[0] != photo("IMG_2.jpg")[0]
