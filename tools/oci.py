# SPDX-License-Identifier: Apache-2.0
"""OCI images: a container's files and what it executes, written as one archive.

The archive holds an image of one layer in the OCI image layout, and the index that `docker load`
reads. containerd (`ctr images import`), podman and docker take it. The same image gives the same
bytes: nothing in it tells when or where it was made, and nothing is compressed.
"""

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_MEDIA_TYPE = "application/vnd.oci.image"


class Entry(NamedTuple):
    """A file, directory or symbolic link in a container; `path` is relative to its root."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    target: str = ""


class Image(NamedTuple):
    """A container's files and what it executes, with its environment."""

    entries: tuple[Entry, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}  # never changed


def program(path: str, content: bytes) -> Entry:
    """Return an executable file."""
    return Entry(path, content, 0o755)


def directory(path: str) -> Entry:
    """Return an empty directory."""
    return Entry(path, mode=0o755, kind=tarfile.DIRTYPE)


def link(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, mode=0o777, kind=tarfile.SYMTYPE, target=target)


def archive(image: Image, names: Sequence[str]) -> bytes:
    """Return an archive with an image for x86-64 Linux under full names, registry and tag included.

    Raises ValueError for a name without a tag, which a runtime could not find again.
    """
    for name in names:
        if ":" not in posixpath.basename(name):
            raise ValueError(f"the name of an image, {name}, has no tag")
    layer = _tar(_with_parents(image.entries))
    config = _json(_config(image, layer))
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA_TYPE}.manifest.v1+json",
        "config": _descriptor(config, "config.v1+json"),
        "layers": [_descriptor(layer, "layer.v1.tar")],
    }
    described = _descriptor(_json(manifest), "manifest.v1+json")
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA_TYPE}.index.v1+json",
        "manifests": [described | {"annotations": _annotations(name)} for name in names],
    }
    # Of docker's own format; docker before version 25 knows no other.
    loaded = [{"Config": _blob(config), "RepoTags": list(names), "Layers": [_blob(layer)]}]
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
        "manifest.json": _json(loaded),
    }
    files |= {_blob(content): content for content in (layer, config, _json(manifest))}
    return _tar(Entry(path, content) for path, content in files.items())


def _config(image: Image, layer: bytes) -> dict[str, Any]:
    """Return an image's configuration; its layer's digest is that of the bare tar archive."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": [f"{name}={value}" for name, value in image.environment.items()],
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
    }


def _annotations(name: str) -> dict[str, str]:
    """Return an image's name as containerd reads it, and as podman does."""
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}


def _descriptor(content: bytes, kind: str) -> dict[str, Any]:
    """Return what refers to a blob of a kind of OCI's."""
    return {
        "mediaType": f"{_MEDIA_TYPE}.{kind}",
        "digest": f"sha256:{_digest(content)}",
        "size": len(content),
    }


def _blob(content: bytes) -> str:
    """Return where a blob is in the archive."""
    return f"blobs/sha256/{_digest(content)}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _with_parents(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries in the order of their paths, after the directories that they are in."""
    made: dict[str, Entry] = {}
    for entry in sorted(entries):
        parent = ""
        for part in posixpath.dirname(entry.path).split("/"):
            parent = posixpath.join(parent, part)
            if parent and parent not in made:
                made[parent] = directory(parent)
        made[entry.path] = entry
    yield from made.values()


def _tar(entries: Iterable[Entry]) -> bytes:
    """Return a tar archive of entries that root owns, of no date."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as opened:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.type, info.mode, info.linkname = entry.kind, entry.mode, entry.target
            info.size = len(entry.content)
            opened.addfile(info, io.BytesIO(entry.content))
    return raw.getvalue()
