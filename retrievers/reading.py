"""Read one file of a bank: any bytes become text, and a file that is gone is no error."""

from __future__ import annotations

import codecs
import os
import stat

from retrievers.types import BankFile

_BOMS = (
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    r"""Text of any bytes, with `\n` as the only line end; what cannot be decoded becomes U+FFFD."""
    encoding = "utf-8"
    for bom, name in _BOMS:
        if data.startswith(bom):
            data, encoding = data[len(bom) :], name
            break
    text = data.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


def read_text(file: BankFile, *, max_file_bytes: int) -> str | None:
    """The file's text now; None if it vanished, became a link or a device, may not be read or outgrew the
    limit.
    """
    # O_NOFOLLOW and fstat: the file may have been swapped for a link or a pipe since it was listed.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(file.path, flags)
        with open(descriptor, "rb") as handle:  # noqa: PTH123 - a descriptor has no path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = handle.read(max_file_bytes + 1)
    except OSError:
        return None
    return decode(data) if len(data) <= max_file_bytes else None
