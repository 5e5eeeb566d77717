# SPDX-License-Identifier: Apache-2.0
"""Which texts may name resources, devices and modules, and the one way each is written.

The rules for resources are kubelet's: it refuses another name when the resource is registered
(IsExtendedResourceName in pkg/apis/core/v1/helper, IsQualifiedName in apimachinery's validation).
"""

import re
from collections.abc import Callable

from sriov_cni.cni.addresses import parse_mac
from sriov_cni.kernel.sysfs import is_pci_address

_LONGEST_NAME = 63
_LONGEST_PREFIX = 253 - len("requests.")  # kubelet puts that in front for quotas
_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_MODULE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,54}", re.ASCII)  # MODULE_NAME_LEN
_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]{4})", re.ASCII)


def resource_name(text: str) -> str:
    """Return what may follow the prefix; ValueError says what would be right."""
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        raise ValueError(
            f"1 to {_LONGEST_NAME} letters, digits, _ and -, the first and the last "
            "a letter or a digit"
        )
    return text


def resource_prefix(text: str) -> str:
    """Return a DNS subdomain that is not Kubernetes' own; ValueError says what would be right."""
    labels = text.split(".")
    if len(text) > _LONGEST_PREFIX or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a DNS name in lower case like example.com")
    if text.endswith("kubernetes.io") or text.startswith("requests."):
        raise ValueError("a name that Kubernetes does not keep for itself")
    return text


def pci_address(text: str) -> str:
    """Return a PCI address in lower case, with its domain; ValueError says what would be right."""
    full = text if text.count(":") == 2 else f"0000:{text}"
    if not is_pci_address(full):
        raise ValueError("a PCI address like 0000:01:10.0 or 01:10.0")
    return full.lower()


def hexadecimal(text: str) -> str:
    """Return the ID of a vendor or a model as sysfs has it, without its 0x."""
    found = _HEXADECIMAL.fullmatch(text.lower())
    if found is None:
        raise ValueError("four hexadecimal digits like 8086")
    return found[1]


def plain(text: str) -> str:
    """Return a text that something can be called; ValueError says what would be right."""
    if not text or not text.isprintable() or text != text.strip():
        raise ValueError("a name, without blanks around it")
    return text


def mac(text: str) -> str:
    """Return an Ethernet address in lower case with colons; ValueError says what would be right."""
    try:
        return parse_mac(text)
    except ValueError:
        raise ValueError("a MAC address like 3c:fd:fe:00:00:01") from None


def is_module(text: str) -> bool:
    """Tell whether a text may name a kernel module, or the driver of one: it is part of paths."""
    return _MODULE.fullmatch(text) is not None


def module(text: str) -> str:
    """Return the name of a kernel module; ValueError says what would be right."""
    if not is_module(text):
        raise ValueError("the name of a kernel module like vfio-pci")
    return text


def optional(read: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that reads as `read` does, and takes an empty text, too."""
    return lambda text: read(text) if text else ""


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a function that returns one of these texts; its ValueError lists them."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(f'"{choice}"' for choice in choices))
        return text

    return read
