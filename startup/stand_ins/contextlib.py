# SPDX-License-Identifier: Apache-2.0
"""contextmanager and suppress, which this project uses, without their abstract classes.

Left out of contextmanager: use as a decorator, and the care for a StopIteration that the body of a
with-statement raises.
"""

from collections.abc import Callable, Iterator
from typing import Any


class _Manager:
    def __init__(self, generator: Iterator[Any]) -> None:
        self._generator: Any = generator

    def __enter__(self) -> Any:
        return next(self._generator)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if error is None:
            next(self._generator, None)
            return False
        try:
            self._generator.throw(error)
        except StopIteration:
            return True
        except BaseException as raised:
            if raised is error:
                return False
            raise
        raise RuntimeError("a context manager went on after an error")


def contextmanager(function: Callable[..., Iterator[Any]]) -> Callable[..., _Manager]:
    """Make a function of with-statements out of a generator function."""
    return lambda *arguments, **named: _Manager(function(*arguments, **named))


class suppress:  # noqa: N801 - its name
    """End a with-statement quietly where one of these errors is raised."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)
