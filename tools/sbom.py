# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of the released bundles, in CycloneDX 1.6 (JSON).

    PYTHON -m tools.sbom RELEASE

PYTHON is the one that the bundles were frozen with, as tools/release-python makes it: what is in
them is looked up there. RELEASE is the directory with the bundles. The same bundles give the same
bytes.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from sriov_cni import __version__

BUNDLES = ("sriov-cni", "sriov-node")
# What is frozen: pyproject.toml's libraries, what these need, and the program that starts them.
LIBRARIES = (
    *("pyroute2", "netaddr", "grpclib", "h2", "hpack", "hyperframe", "multidict", "protobuf"),
    *("prometheus_client", "pyudev", "asyncinotify", "click", "rich", "pyyaml", "pyinstaller"),
)
# What is compiled of Debian's sources, and under which license.
_SOURCES = {"python3.11": "PSF-2.0", "libffi": "MIT", "zlib": "Zlib"}


def bill(release: str) -> dict[str, Any]:
    """Return the bill of a release's bundles; raise OSError if one cannot be read."""
    files = [component for bundle in BUNDLES for component in _files(release, bundle)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "sriov-cni",
                "name": "sriov-cni",
                "version": __version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [*_sources(), *map(_library, LIBRARIES), *files],
    }


def _sources() -> Iterator[dict[str, Any]]:
    """Yield Python and the C libraries that are compiled into it, with Debian's versions."""
    with open(f"{sys.prefix}/sources", encoding="utf-8") as file:
        for line in file:
            name, _, version = line.strip().rpartition("-")
            yield {
                "type": "library",
                "bom-ref": name,
                "name": name,
                "version": version,
                "purl": f"pkg:deb/debian/{name}@{version}?arch=source",
                "licenses": [{"license": {"id": _SOURCES[name]}}],
            }


def _library(name: str) -> dict[str, Any]:
    told = metadata.metadata(name).json
    version = told["version"]
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.replace('_', '-').lower()}@{version}",
        "licenses": [{"license": {"name": _license(told)}}],
    }


def _license(told: dict[str, Any]) -> str:
    """Return a library's license as it says itself: an expression, a name, or a classifier."""
    for key in ("license_expression", "license"):
        value = told.get(key)
        if value and "\n" not in value and value != "UNKNOWN":
            return str(value)
    classifiers = told.get("classifier", [])
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    return named[0] if named else "see its source"


def _files(release: str, bundle: str) -> Iterator[dict[str, Any]]:
    """Yield the shared libraries and executables of a bundle, with their digests."""
    found = []
    for directory, _, names in os.walk(f"{release}/{bundle}"):
        found += [os.path.join(directory, name) for name in names]
    for path in sorted(path for path in found if not os.path.islink(path)):
        with open(path, "rb") as file:
            content = file.read()
        if content.startswith(b"\x7fELF"):
            name = os.path.relpath(path, release)
            digest = hashlib.sha256(content).hexdigest()
            yield {
                "type": "file",
                "bom-ref": name,
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }


if __name__ == "__main__":
    print(json.dumps(bill(sys.argv[1]), indent=2))
