"""The certificate that STARTTLS shows; a renewed file is taken up without a restart."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from amends.kernel.errors import NeedsOperator

log = structlog.get_logger()


class Certificate:
    """A certificate and its key on disk."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._stamp = self._stamped()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """For the next connection.  If a renewed file cannot be used, the one before goes on, and the log says so."""
        try:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._stamp = stamp
                self._context = self._load()
                log.info("listener.certificate-renewed")
        except NeedsOperator as trouble:
            log.error("listener.certificate-unusable", why=str(trouble))
        return self._context

    def _stamped(self) -> tuple[tuple[int, int, int], ...]:
        try:
            seen = [path.stat() for path in self._files]
        except OSError as fault:
            raise NeedsOperator(f"listener: cannot read {fault.filename}: {fault.strerror}.") from fault
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in seen)

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key)
        except ssl.SSLError as fault:
            raise NeedsOperator(
                f"listener: {certificate} and {key} are no certificate (PEM) with its key: {fault.reason}."
            ) from fault
        except OSError as fault:
            raise NeedsOperator(f"listener: cannot read {certificate} or {key}: {fault.strerror}.") from fault
        return context
