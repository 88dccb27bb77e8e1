"""Whether files and folders are as they were seen before, by what `stat` tells of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

# File systems keep times as coarse as this: what was touched since may be touched again and look the same.
RACY_NS = 2_000_000_000
# Some file systems do not tell by a folder's time that names in it came or went.
FOLDERS_TRUSTED_S = 60.0


class Stamp(NamedTuple):
    """What changes when a file or folder is touched or replaced."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, info: os.stat_result) -> Stamp:
        """That of `os.stat`."""
        return cls(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def is_settled(mtime_ns: int, ctime_ns: int, now_ns: int) -> bool:
    """Whether that which touches a file or folder of these times from `now_ns` on changes them."""
    return max(mtime_ns, ctime_ns) + RACY_NS < now_ns


@dataclass(frozen=True, slots=True)
class Seen:
    """Folders and files, none of them a link, with their stamps; of no use after `until_s` of the monotonic clock."""

    stamps: tuple[tuple[str, Stamp], ...]
    until_s: float

    @classmethod
    def of(cls, folders: Iterable[tuple[str, Stamp]], files: Iterable[tuple[str, Stamp]], now_ns: int) -> Seen | None:
        """What was seen since `now_ns`, the folders before their names; None where these may change unseen."""
        stamps = tuple(folders)
        if not all(is_settled(stamp.mtime_ns, stamp.ctime_ns, now_ns) for _, stamp in stamps):
            return None
        return cls((*stamps, *files), time.monotonic() + FOLDERS_TRUSTED_S)

    def holds(self) -> bool:
        """Whether no name came or went, and nothing was touched."""
        if time.monotonic() > self.until_s:
            return False
        lstat = os.lstat
        try:
            for path, stamp in self.stamps:
                info = lstat(path)
                # Each request asks this of each file: a `Stamp` would take as long again as to ask.
                if (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino) != stamp:
                    return False
        except OSError:
            return False
        return True
