"""`amendsd init`: a configuration to start from."""

from __future__ import annotations

from pathlib import Path

from amends.kernel.errors import ConfigError
from amends.kernel.share import config_folder
from daemon.cli import say
from daemon.cli.files import told, write_private


def write_configuration(folder: Path) -> int:
    """Write `folder`/amends.toml, readable by its owner alone; never over another."""
    path = folder / "amends.toml"
    text = (config_folder() / "amends.toml").read_text(encoding="utf-8")
    with told(folder, "made"):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    with told(path, "written"):
        try:
            write_private(path, text)
        except FileExistsError:
            raise ConfigError(f"{path} exists; move it away or name another folder.") from None
    say.line(f"{path} is written; nobody but you can read it.")
    say.line("Next:")
    say.line("  1. Edit it: your organisation, the mailbox, the SMTP server.")
    say.line(f"  2. amendsd --config {path} check     says what is wrong, until nothing is")
    say.line(f"  3. amendsd --config {path} migrate   makes the database")
    say.line(f"  4. amendsd --config {path} run       or the systemd unit; docs/install.md tells how")
    return 0
