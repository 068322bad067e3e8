"""Lazy results: each stands for its file until somebody touches it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OWN = frozenset(
    [
        "__class__",
        "__delattr__",
        "__dict__",
        "__doc__",
        "__getattr__",
        "__getattribute__",
        "__hash__",
        "__init__",
        "__init_subclass__",
        "__module__",
        "__new__",
        "__reduce__",
        "__reduce_ex__",
        "__setattr__",
        "__slots__",
        "__subclasshook__",
        "__weakref__",
        "__class_getitem__",
        "__copy__",
        "__deepcopy__",
        "__getstate__",
        "__setstate__",
        "__repr__",
        "__del__",
    ]
)
"""What a stand-in does itself, and what belongs to a class and not to its objects."""


class Lazy:
    """Stands for the result in a file, of a class that is known: it is read when something of it is wanted first."""

    def __init__(self, kind: type, path: Path, load: Callable[[Path], Any]) -> None:
        object.__setattr__(self, "_lazy", _Slot(kind, path, load))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lazy.get(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._lazy.get(), name, value)

    def __hash__(self) -> int:
        return hash(self._lazy.get())

    def __repr__(self) -> str:
        return repr(self._lazy.get()) if self._lazy.loaded else f"<{self._lazy.kind.__name__} in {self._lazy.path}>"

    def __reduce__(self) -> Any:
        return _same, (self._lazy.get(),)

    def __copy__(self) -> Any:
        return self._lazy.get()

    def __deepcopy__(self, _memo: Any) -> Any:
        return self._lazy.get()


class _Slot:
    """A file, and what was read from it."""

    def __init__(self, kind: type, path: Path, load: Callable[[Path], Any]) -> None:
        self.kind, self.path, self.loaded = kind, path, False
        self._load, self._lock = load, threading.Lock()
        self._value: Any = None

    def get(self) -> Any:
        with self._lock:
            if not self.loaded:
                self._value, self.loaded = self._load(self.path), True
            return self._value


def stand_in(kind: type, path: Path, load: Callable[[Path], Any]) -> Any:
    """Return what stands for the result of class ``kind`` in a file until it is touched."""
    return _class_for(kind)(kind, path, load)


@functools.cache
def _class_for(kind: type) -> type[Lazy]:
    """Return a stand-in with the operators of a class: Python looks for these in classes only."""
    names = {name for name in dir(kind) if name.startswith("__") and name.endswith("__")} - _OWN
    methods = {name: _passing_on(name) for name in names if callable(getattr(kind, name))}
    own = {"__hash__": Lazy.__hash__, "__class__": property(lambda _self: kind)}  # so that isinstance is right
    return type(f"Lazy{kind.__name__}", (Lazy,), {**methods, **own})


def _passing_on(name: str) -> Callable[..., Any]:
    def method(self: Lazy, *arguments: Any, **more: Any) -> Any:
        arguments = tuple(each._lazy.get() if issubclass(type(each), Lazy) else each for each in arguments)
        return getattr(self._lazy.get(), name)(*arguments, **more)

    return method


def _same(value: Any) -> Any:
    return value
