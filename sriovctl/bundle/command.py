# SPDX-License-Identifier: Apache-2.0
"""The command `sriovctl bundle`: it takes the parts, and writes them into one file."""

import io
import os
import signal
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import track

from sriovctl import console, exits
from sriovctl.bundle.parts import LARGEST, Part, Sources, parts
from sriovctl.bundle.secrets import without_secrets
from sriovctl.places import Places

INDEX = "index.txt"
_TOP = "sriov-bundle"
_PATIENCE = 15  # seconds for a part
_COLUMNS = console.columns("PART part", "FROM source")
_EPILOG = """\b
Examples:
  sriovctl bundle
  sriovctl bundle /tmp/node7.tar.gz
  sriovctl bundle --list

\b
Exit codes:
  0   the file is written; its index.txt says what could not be had
  1   the file cannot be written, or is there already
"""


@click.command(epilog=_EPILOG)
@click.argument("file", required=False, type=click.Path())
@click.option("--list", "is_list", is_flag=True, help="List what would be in it instead.")
@click.pass_context
def bundle(context: click.Context, /, file: str | None, is_list: bool) -> None:
    """Write what a bug report needs into one file (tar.gz) that only root can read.

    Values of keys that are called token, password, key and the like are removed, and so is what
    looks like a secret elsewhere; kubeconfig files are not read. Names of pods, addresses and
    devices are in it: look it through before you publish it.
    """
    sources = Sources(context.find_object(Places) or Places())
    found = parts(sources, context.find_root().command)
    if is_list:
        rows = [{"part": part.name, "source": part.source} for part in found]
        console.show(console.TABLE, _COLUMNS, rows)
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = file or f"{_TOP}-{os.uname().nodename}-{stamp}.tar.gz"
    lacking = write(path, found)
    click.echo(f"{path} has {len(found) - lacking} parts; {lacking} could not be had.")


def write(path: str, found: Sequence[Part]) -> int:
    """Write a bundle; return how many parts could not be had. Raises Failed."""
    if os.path.lexists(path):
        raise exits.Failed(f"{path} is there already: give another name, or remove it")
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                lacking = _fill(archive, found)
            os.link(unfinished, path)  # which a rename would overwrite
        finally:
            os.unlink(unfinished)
    except OSError as error:
        raise exits.Failed(f"{path} cannot be written: {error.strerror}") from None
    return lacking


def _fill(archive: tarfile.TarFile, found: Sequence[Part]) -> int:
    now, index, lacking = int(time.time()), [], 0
    shown = Console(stderr=True)
    silent = not sys.stderr.isatty()
    for part in track(found, "Gathering", console=shown, disable=silent, transient=True):
        try:
            with _deadline():
                content = without_secrets(part.take())
        except Exception as error:
            # whatever a part meets, the others are worth having
            index.append(f"{part.name}: not there: {_words(error)} ({part.source})")
            lacking += 1
            continue
        cut = f", cut from {len(content)} bytes" if len(content) > LARGEST else ""
        content = content[-LARGEST:] if part.at_end else content[:LARGEST]
        index.append(f"{part.name}: {len(content)} bytes{cut} ({part.source})")
        _add(archive, part.name, content, now)
    _add(archive, INDEX, without_secrets("".join(f"{line}\n" for line in index).encode()), now)
    return lacking


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _add(archive: tarfile.TarFile, name: str, content: bytes, now: int) -> None:
    member = tarfile.TarInfo(f"{_TOP}/{name}")
    member.size, member.mode, member.mtime = len(content), 0o600, now
    archive.addfile(member, io.BytesIO(content))


@contextmanager
def _deadline() -> Iterator[None]:
    """Raise TimeoutError where a part takes too long."""

    def expired(*_: Any) -> NoReturn:
        raise TimeoutError(f"it took more than {_PATIENCE} s")

    before = signal.signal(signal.SIGALRM, expired)
    # again each second: what it meets there may go on after the first one, as doctor does
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
