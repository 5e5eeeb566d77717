# SPDX-License-Identifier: Apache-2.0
"""The resources of the Go device plugin's configuration: of its ConfigMap, or its bare file."""

from collections.abc import Iterator
from typing import Any

from sriov_cni.cni.document import JsonObject, shown
from sriov_node.fields import Findings, decode
from sriovctl import exits
from sriovctl.importing.documents import Document

_LIST = "resourcelist"  # Go's decoder takes keys in any case


def is_configuration(values: JsonObject) -> bool:
    """Tell whether an object is the device plugin's configuration itself."""
    return any(key.lower() == _LIST for key in values)


def resources(values: JsonObject, place: str) -> list[Any]:
    """Return the resources of a configuration, as they are; raise Failed if it has none."""
    listed = next((value for key, value in values.items() if key.lower() == _LIST), None)
    if not isinstance(listed, list):
        raise exits.Failed(f"{place}: resourceList is {shown(listed)}, it must be a list")
    return listed


def of_config_map(document: Document, findings: Findings) -> Iterator[Any]:
    """Yield the resources of a ConfigMap: of each of its keys that has some."""
    data = document.values.get("data")
    texts = data if isinstance(data, dict) else {}
    found = []
    for key, text in texts.items():
        place = f"{document.path}: data.{key}"
        if not isinstance(text, str):
            raise exits.Failed(f"{place} is {shown(text)}, it must be a string")
        try:
            value = decode(text.encode())
        except ValueError as error:
            raise exits.Failed(f"{place} is not JSON: {error}") from None
        if isinstance(value, dict) and is_configuration(value):
            found.append(key)
            yield from resources(value, place)
        else:
            findings.warn(f"{place} has no resourceList: left out")
    if not found:
        findings.warn(f"{document.path}: the ConfigMap has no device plugin's configuration")
    elif len(found) > 1:
        findings.warn(
            f"{document.path}: resources of {', '.join(found)} are added up; "
            "remove those of other nodes"
        )
