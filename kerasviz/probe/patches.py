"""Methods of library classes, replaced for as long as someone needs it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_lock = threading.Lock()


class Patch:
    """A method of a class, replaced while any thread is within `on`; put back by the last to leave.

    The replacement is seen by all threads, so it has to ask whether it concerns the calling one.

    Args:
        kind: The class that defines the method itself.
        name: Name of the method.
        replace: From the original function to its replacement.
    """

    def __init__(
        self, kind: type, name: str, replace: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self._kind, self._name, self._replace = kind, name, replace
        self._inside: set[object] = set()
        self._own: Any = None

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Within this context the method is replaced."""
        token = object()
        try:
            with _lock:
                self._inside.add(token)
                self._install()
            yield
        finally:
            with _lock:
                self._inside.discard(token)
                self._remove()

    def _install(self) -> None:
        if self._own is None:
            self._own = vars(self._kind)[self._name]
            setattr(self._kind, self._name, self._replace(self._own))

    def _remove(self) -> None:
        if self._own is not None and not self._inside:
            setattr(self._kind, self._name, self._own)
            self._own = None
