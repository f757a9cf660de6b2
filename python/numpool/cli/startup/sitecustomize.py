"""The start of a program under ``numpool run``: Python's `site` imports this before the program.

The program must not notice this module. So it imports only modules that Python has loaded already,
removes its own traces, and lets the user's own `sitecustomize` take its place. It imports numpool
only after the program has imported NumPy, because the program may set variables that NumPy reads
during its import. At the program's end, after the program's own exit functions, it shows the
summary.
"""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is not loaded yet
SETTINGS = "NUMPOOL_RUN"
PYTHONPATH_BEFORE = "NUMPOOL_RUN_PYTHONPATH"


class WhenImported:
    """A finder that asks the other finders, and calls functions after modules are imported.

    It stays in `sys.meta_path`: if it removed itself while another thread iterates over that list,
    that thread would miss the next finder.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[set[str], Callable[[], None]]] = []

    def add(self, names: "Iterable[str]", then: "Callable[[], None]") -> None:
        """Call the function when all of these modules are imported; at once if they are."""
        missing = {name for name in names if name not in sys.modules}
        if missing:
            self.waiting.append((missing, then))
        else:
            then()

    def imported(self, name: str) -> None:
        """Call the functions that have waited for this module."""
        waiting, self.waiting = self.waiting, []
        for names, then in waiting:
            names.discard(name)
            if names:
                self.waiting.append((names, then))
            else:
                then()

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """The spec of such a module, with an extended loader."""
        if not any(name in names for names, _ in self.waiting):
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None:
                continue
            spec: ModuleSpec | None = find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self.extend(spec.loader, name)
                return spec
        return None

    def extend(self, loader: "Loader", name: str) -> None:
        """Make this loader say when the module is imported. Its class does not change."""

        def exec_module(module: "ModuleType") -> None:
            del loader.exec_module
            loader.exec_module(module)
            self.imported(name)

        # The import system removes frames with these names from tracebacks, so it removes this
        # frame, too.
        exec_module.__code__ = exec_module.__code__.replace(
            co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
        )
        loader.exec_module = exec_module  # type: ignore[method-assign]


def begin(pid: int, settings: str) -> None:
    """Install the pool with NumPy. In the program's process, also show the summary at its end."""

    def install() -> None:
        from numpool.cli import program

        program.install(settings, finder.add)

    def finish() -> None:
        if os.getpid() != pid:
            return
        # The program's own modules must not hide modules that the summary needs.
        sys.path[:] = paths
        from numpool.cli import program

        program.finish(settings, outputs, len(forks))

    paths = [path for path in sys.path if path != HERE]
    finder = WhenImported()
    sys.meta_path.insert(0, finder)
    finder.add(["numpy"], install)
    if os.getpid() == pid:
        forks: list[None] = []
        os.register_at_fork(after_in_parent=lambda: forks.append(None))
        outputs = {number: status(number) for number in (1, 2)}
        atexit.register(finish)


def status(number: int) -> "os.stat_result | None":
    """The status of the file with this number, or None."""
    try:
        return os.fstat(number)
    except OSError:
        return None


def vanish(*, keep_environment: bool) -> None:
    """Remove all traces of this module, so that the user's own can be imported."""
    sys.path[:] = [path for path in sys.path if path != HERE]
    sys.path_importer_cache.pop(HERE, None)
    del sys.modules["sitecustomize"]
    if keep_environment:
        return
    before = os.environ.pop(PYTHONPATH_BEFORE, None)
    os.environ.pop(SETTINGS)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def start() -> None:
    """Begin in a program that ``numpool run`` started."""
    pid, whom, settings = os.environ[SETTINGS].split(" ", 2)
    vanish(keep_environment=whom == "children")
    begin(int(pid), settings)
    # If there is none, `site` expects the ImportError of this line.
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401


def begin_in_child(capacity: int, wipe: bool, parent: "tuple[int, int, bytes] | tuple[()]") -> None:
    """Let a new process of a program under ``--share`` send copies, once it has NumPy."""

    def begin_to_share() -> None:
        try:
            from numpool._copies import PoolReference
            from numpool.cli import sharing
        except ImportError:  # Another Python, which has no numpool.
            return
        sharing.begin(finder.add, capacity, wipe, PoolReference(*parent) if parent else None)

    # With --children there is one already.
    finder: Any = None
    for one in sys.meta_path:
        if type(one).__name__ == WhenImported.__name__:
            finder = one
    if finder is None:
        finder = WhenImported()
        sys.meta_path.insert(0, finder)
    finder.add(["numpy", "multiprocessing"], begin_to_share)


if __name__ == "sitecustomize" and SETTINGS in os.environ:
    start()
