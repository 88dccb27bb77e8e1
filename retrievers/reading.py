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
_SAMPLE_BYTES = 4_096
_NOT_IN_TEXT = bytes({*range(0x20)} - set(b"\t\n\v\f\r\x1b"))


def decode(data: bytes) -> str:
    r"""Text of any bytes, with `\n` as the only line end; what cannot be decoded becomes U+FFFD."""
    mark, encoding = next((each for each in _BOMS if data.startswith(each[0])), (b"", ""))
    text = data[len(mark) :].decode(encoding or _unmarked(data), errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


def _unmarked(data: bytes) -> str:
    """The encoding of bytes without a mark; UTF-16 shows by zero bytes on one side of the pairs only."""
    if b"\0" not in data:
        return "utf-8"
    sample = data[:_SAMPLE_BYTES]
    firsts, seconds = sample[::2].count(0), sample[1::2].count(0)
    zeros = max(firsts, seconds)
    one_sided = zeros > 1 and min(firsts, seconds) * 4 <= zeros
    # Half the bytes of UTF-16 are no text if read as UTF-8, or it is no UTF-8 at all.
    odd = len(sample) - len(sample.translate(None, _NOT_IN_TEXT))
    if not one_sided or (odd * 8 < len(sample) and _is_utf8(data)):
        return "utf-8"
    return "utf-16-be" if firsts > seconds else "utf-16-le"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


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
