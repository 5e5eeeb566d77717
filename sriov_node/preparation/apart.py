# SPDX-License-Identifier: Apache-2.0
"""Doing something in a process of its own, so that this one goes on whatever becomes of that.

A driver may keep a write to sysfs in the kernel for ever, where nothing ends the process. That is
why this is no multiprocessing.Process: at its own end, Python waits for all of those.
"""

import os
import pickle
import socket
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")
Tell = Callable[[object], None]


class LeftError(Exception):
    """There is no result, and the text says why.

    The other process was killed; or it told nothing for too long, and is left to itself with all
    that it holds.
    """


def run(task: Callable[[Tell], Result], hear: Callable[[Any], object], patience: float) -> Result:
    """Return what a task returns, or raise what it raises; it runs in a process of its own.

    What the task tells, with the function that it is given, is heard here. All of this is pickled.
    Raises LeftError, after `patience` seconds of silence for one thing. Once this process is gone
    or hears no more, the other one ends when it tells something.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _be(task, theirs)
    theirs.close()
    ours.settimeout(patience)
    result: Result
    with ours, ours.makefile("rb") as file:
        try:
            while True:
                said, result, error = pickle.load(file)  # noqa: S301  # our own process's
                if said is None:
                    break
                hear(said)
        except TimeoutError:
            raise LeftError(
                f"the kernel does not return for {patience:.0f} s, and process {pid} waits"
            ) from None
        except (EOFError, pickle.UnpicklingError):
            os.waitpid(pid, 0)
            raise LeftError("its process was killed") from None
    os.waitpid(pid, 0)
    if error is not None:
        raise error
    return result


def _be(task: Callable[[Tell], object], theirs: socket.socket) -> NoReturn:
    """Be the other process, which ends without what Python does at the end of the first one.

    It has no output of its own: whoever reads this program's to its end would wait for it.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)

    def send(said: object, result: object = None, error: Exception | None = None) -> None:
        theirs.sendall(pickle.dumps((said, result, error)))

    try:
        try:
            send(None, task(send))
        except BrokenPipeError:  # nobody hears any more
            pass
        except Exception as error:
            send(None, error=error)
    finally:
        os._exit(0)
