"""Where a command meets the person who typed it: what both can read, whatever the shell says of it.

if __name__ == "__main__":
terminal.prepare()
sys.exit(main(sys.argv[1:]))
"""

import io
import os
import sys

_CHINESE = "升级…"
_UTF8 = ["-X", "utf8"]


def prepare() -> None:
    """The first thing that a command does.

    A locale that has no Chinese says nothing of the terminal; it was never set, or not taken along
    to another machine. There the program begins anew in UTF-8: what was typed and what stands in
    files is read so, too. One that has it (GB 18030, say) is believed, and what it cannot show is a
    question mark.
    """
    _fill_standard_streams()
    if not _has_chinese(sys.getfilesystemencoding()) and sys.orig_argv[1:3] != _UTF8:
        os.execv(sys.executable, [sys.executable, *_UTF8, *sys.orig_argv[1:]])  # noqa: S606
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _has_chinese(encoding: str) -> bool:
    try:
        _CHINESE.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _fill_standard_streams() -> None:
    # Whatever is opened takes the lowest number that is free. In the place of a stream that was
    # closed, a file would be written to by whoever tells something, and not reach a child.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # noqa: FBT003
    os.close(number)
