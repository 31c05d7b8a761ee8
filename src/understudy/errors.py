"""Every error that Understudy raises on purpose.

UnderstudyError
├── UserError             something the user can put right; shown as one sentence, exit code 2, no traceback
│   ├── OptionError       a command's or function's option
│   ├── MediaError        footage or a picture that cannot be read or written
│   ├── FaceError         no face, too many faces, an unusable face
│   ├── DatasetError      a face set that is missing, empty, damaged or too small
│   ├── CheckpointError   weights that cannot be loaded or do not fit
│   ├── WeightsError      a foreign model that is not at hand, or whose checksum is wrong
│   ├── ConsentError      an identity without a consent record that allows this use
│   └── StorageError      a full disk, a folder without permission
└── InternalError         a bug of ours; shown with its traceback
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UnderstudyError(Exception):
    """Base of all errors raised on purpose."""


class UserError(UnderstudyError):
    """Something the user can put right: the message is a sentence that names the file or option, the finding and the mend."""

    exit_code = 2


class OptionError(UserError):
    """An option's value cannot be used."""


class MediaError(UserError):
    """Footage or a picture cannot be read or written."""


class FaceError(UserError):
    """No face, several faces where one is needed, or a face that cannot be used."""


class DatasetError(UserError):
    """A face set is missing, empty, damaged or too small."""


class CheckpointError(UserError):
    """Weights cannot be loaded or do not fit."""


class WeightsError(UserError):
    """A foreign model is not at hand, or its checksum is wrong."""


class ConsentError(UserError):
    """An identity has no consent record that allows this use."""


class StorageError(UserError):
    """The disk is full, or the folder cannot be written."""


class InternalError(UnderstudyError):
    """A bug of ours."""


_STORAGE_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again, it goes on where it stopped",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "permission was denied; choose another folder or change its permissions",
    errno.EPERM: "the operation is not permitted; choose another folder or change its permissions",
    errno.EROFS: "the file system is read-only; choose another folder",
}


@contextmanager
def storage_guard(path: Path | str) -> Iterator[None]:
    """Turn the operating system's full-disk and permission errors for ``path`` into a :class:`StorageError` sentence."""
    try:
        yield
    except OSError as error:
        reason = _STORAGE_REASONS.get(error.errno or 0)
        if reason is None:
            raise
        raise StorageError(f"{path} could not be written: {reason}.") from error
