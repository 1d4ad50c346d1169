"""Who we are in the store: the name on the rows that we claim, by which a later life knows that we are dead."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path


def our_name() -> str:
    """A name that nobody had before: `host/boot/pids/pid/start/nonce`.

    `boot` is the boot of the machine, `pids` its namespace of process numbers (a container has its own), `start` the
    instant, in ticks since the boot, at which the process was started: a number alone is soon another process's.
    """
    return f"{_place()}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Whether the owner of that name has certainly ended: its machine booted since, or its process is gone.

    False where nobody here can know (another machine or container): its lease says when it is over.
    """
    parts = owner.split("/")
    if len(parts) != 6 or not parts[3].isdigit():
        return False
    host, boot, pids = _place().split("/")
    if parts[0] != host or not boot:
        return False
    if parts[1] != boot:
        return True
    return parts[2] == pids and _started(int(parts[3])) != parts[4] and not _hidden(int(parts[3]))


def _place() -> str:
    return f"{this_machine()}/{_read('/proc/sys/kernel/random/boot_id')[:8]}/{_pid_namespace()}"


def this_machine() -> str:
    """The host's name and the beginning of its machine id: cloned machines share one, seldom both."""
    return f"{socket.gethostname().replace('/', '-')}.{_read('/etc/machine-id')[:8]}"


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "0"


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); '' for a process that is not there, or dead and not yet collected."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def _hidden(pid: int) -> bool:
    """Whether a process is there whose entry in /proc we may not see (hidepid, proc(5)): another user's."""
    if Path(f"/proc/{pid}").exists():
        return False
    try:
        os.kill(pid, 0)
    except OSError as fault:
        return isinstance(fault, PermissionError)
    return False


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
