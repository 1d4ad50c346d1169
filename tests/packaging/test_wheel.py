"""What is installed from the wheel has everything that a checkout has, and runs without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

import amends

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
SHIPPED: Final = ("templates", "config", "systemd")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout as `make wheel` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it, and with the libraries that are here behind it."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(home), "install", "--quiet"),
            *("--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)),
        ],
        check=True,
        capture_output=True,
    )
    (site,) = home.glob("lib/python*/site-packages")
    # Behind, and without its own .pth files: the checkout that they name must not be found.
    (site / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def run(installed: Path, *command: str, cwd: Path) -> str:
    """Standard output of a program of the environment, far from the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AMENDS_"))}
    done = subprocess.run(
        [str(installed / "bin" / command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_letters_configuration_and_units_are_found_in_the_wheel_as_in_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import json, amends; from amends.kernel import share;"
        "print(json.dumps([amends.__file__, *(str(getattr(share, f'{name}_folder')()) for name in"
        f" {SHIPPED!r})]))"
    )
    core, *folders = [Path(path) for path in json.loads(run(installed, "python", "-c", code, cwd=tmp_path))]
    assert installed in core.parents
    for name, folder in zip(SHIPPED, folders, strict=True):
        assert installed in folder.parents
        assert contents(folder) == contents(CHECKOUT / name), name


def test_a_checkout_finds_its_own(tmp_path: Path) -> None:
    from amends.kernel import share

    assert Path(amends.__file__).parent.parent == CHECKOUT
    assert share.templates_folder() == CHECKOUT / "templates"
    assert share.config_folder() == CHECKOUT / "config"
    assert share.systemd_folder() == CHECKOUT / "systemd"


def test_the_installed_programs_make_a_house_that_passes_the_check(installed: Path, tmp_path: Path) -> None:
    run(installed, "amendsd", "init", "house", cwd=tmp_path)
    config = tmp_path / "house" / "amends.toml"
    config.write_text('[organisation]\nname = "Northwind"\naddress = "complaints@northwind.example"\n')
    run(installed, "amendsd", "migrate", "--config", str(config), cwd=tmp_path)
    checked = json.loads(run(installed, "amendsd", "check", "--json", "--config", str(config), cwd=tmp_path))
    assert checked["ok"] is True
    assert {"letters en", "policy", "database"} <= {one["what"] for one in checked["findings"]}
    assert "iso-10002-default" in run(installed, "amendsd", "policy", "list", cwd=tmp_path)
    assert "Usage: amends" in run(installed, "amends", "--help", cwd=tmp_path)


def test_the_wheel_carries_what_is_no_python_and_nothing_of_the_workshop(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("amends", "daemon", "tui"):
        here = {
            str(path.relative_to(CHECKOUT))
            for path in (CHECKOUT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert here <= names, here - names
    assert not [name for name in names if name.split("/")[0] in ("tests", "bench", "docs")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_programs_are_named_as_in_the_manual(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entries,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert archive.read(entries).decode().split() == [
        *("[console_scripts]", "amends", "=", "tui.__main__:main", "amendsd", "=", "daemon.__main__:main"),
    ]
