"""Run by itself: imports modules and prints, as JSON, what else that did.

    python watch_imports.py ROOT MODULE...

Reading anything in ROOT but source, and connecting, starting or storing anything anywhere counts,
unless it is an installed package that does so when it is imported (urllib3 tries out IPv6).
"""

import importlib
import json
import os
import sys
import threading
from pathlib import Path
from types import FrameType

_INSTALLED = f"{os.sep}site-packages{os.sep}"
_STANDARD = str(Path(os.__file__).parent)

EFFECTS = {
    "os.fork",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "socket.bind",
    "socket.connect",
    "sqlite3.connect",
    "subprocess.Popen",
}


class Watch:
    """An audit hook that remembers effects, by the module that was being imported."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.module = ""
        self.seen: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event in EFFECTS and not _is_installed(sys._getframe(1)):
            self.seen.append(f"{self.module}: {event}")
        if event == "open":
            path = str(Path(str(args[0])).absolute())
            foreign = not path.startswith(self.root) or _INSTALLED in path
            if not foreign and not path.endswith((".py", ".pyc")):
                self.seen.append(f"{self.module}: opens {path}")


def _is_installed(frame: FrameType | None) -> bool:
    """Whether the nearest code that is not the standard library's is an installed package's."""
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith((_STANDARD, "<frozen")) or _INSTALLED in path:
            return _INSTALLED in path
        frame = frame.f_back
    return False


def main(root: str, names: list[str]) -> None:
    """Import and report."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, root)
    watch = Watch(f"{root}/")
    sys.addaudithook(watch)
    for watch.module in names:
        importlib.import_module(watch.module)
    left = [f"a thread is left: {thread.name}" for thread in threading.enumerate()[1:]]
    print(json.dumps(watch.seen + left))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
