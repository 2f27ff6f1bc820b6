"""Run by itself: imports modules and prints, as JSON, what else that did.

    python watch_imports.py ROOT MODULE...

Reading anything in ROOT but source, and connecting, starting or storing anything anywhere counts.
"""

import importlib
import json
import sys
import threading
from pathlib import Path

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
        if event in EFFECTS:
            self.seen.append(f"{self.module}: {event}")
        if event == "open":
            path = str(Path(str(args[0])).absolute())
            if path.startswith(self.root) and not path.endswith((".py", ".pyc")):
                self.seen.append(f"{self.module}: opens {path}")


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
