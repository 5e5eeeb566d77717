# SPDX-License-Identifier: Apache-2.0
"""What is in an image's archive, read the way a runtime reads it."""

import io
import json
import tarfile
from typing import Any, NamedTuple


class Archived(NamedTuple):
    """The files of an archive, the manifests its index names, and what the first of them names."""

    files: dict[str, bytes]
    named: list[dict[str, Any]]
    manifest: dict[str, Any]
    config: dict[str, Any]
    layer: bytes

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """Return what a descriptor refers to."""
        return _blob(self.files, descriptor)


def read(archive: bytes) -> Archived:
    """Return what is in an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        streams = ((member.name, opened.extractfile(member)) for member in opened)
        files = {name: stream.read() for name, stream in streams if stream is not None}
    named = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(_blob(files, named[0]))
    config = json.loads(_blob(files, manifest["config"]))
    (layer,) = manifest["layers"]
    return Archived(files, named, manifest, config, _blob(files, layer))


def unpacked(layer: bytes) -> tarfile.TarFile:
    """Return a layer, opened."""
    return tarfile.open(fileobj=io.BytesIO(layer))


def _blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    return files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
