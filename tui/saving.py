"""Taking an attachment out of the store into a folder of the handler's: a stranger's file under a stranger's name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from amends.casework.intake import unpack
from amends.casework.office import Office
from amends.kernel.errors import NeedsHandler, NotFound, Refused
from amends.ledger import views
from amends.ledger.shapes import AttachmentView
from amends.mail.parts import safe_name

_AS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_NAMES: Final = 100
PRIVATE: Final = 0o600


def save_attachment(office: Office, message_id: int, wanted: AttachmentView, folder: Path) -> Path:
    """Write the attachment into `folder` as a new file that only its owner may read; returns its path.

    It is taken out of the bytes of the message as they came, and only if it still is what was filed (SHA-256).  A file
    that is there already is never written over: the new one gets a number.  Raises NotFound, Refused (the folder), or
    NeedsHandler where the attachment cannot be found in the message any more.
    """
    return _write_new(folder, safe_name(wanted.name).lstrip(".") or "attachment", _bytes_of(office, message_id, wanted))


def _bytes_of(office: Office, message_id: int, wanted: AttachmentView) -> bytes:
    from amends.mail.read import attached_files

    with office.book.read() as session:
        raw_id = views.raw_id_of(session, message_id)
        if raw_id is None:
            raise NotFound("There are no bytes of that message.")
        sha256, packed = views.raw(session, raw_id)
    raw = unpack(packed)
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise NeedsHandler("The stored message is not what came; tell the operator to run: amendsd verify")
    for file in attached_files(raw):
        if hashlib.sha256(file.data).hexdigest() == wanted.sha256:
            return file.data
    raise NeedsHandler(
        "That attachment is not found in the message as it came; ask the operator for the whole message."
    )


def _write_new(folder: Path, name: str, data: bytes) -> Path:
    try:
        within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as fault:
        raise Refused(f"{folder} cannot be opened: {fault.strerror}; name a folder that is there.") from fault
    try:
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        for number in range(1, _MOST_NAMES + 1):
            place = name if number == 1 else f"{stem} ({number}){dot}{extension}"
            try:
                descriptor = os.open(place, _AS, PRIVATE, dir_fd=within)
            except FileExistsError:
                continue
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
            except OSError:
                os.unlink(place, dir_fd=within)  # half a file (a full disk) is none
                raise
            return folder / place
        raise Refused(f"{folder} has {_MOST_NAMES} files named like {name}; name another folder.")
    except OSError as fault:
        raise Refused(f"{name} cannot be written to {folder}: {fault.strerror}; name another folder.") from fault
    finally:
        os.close(within)
