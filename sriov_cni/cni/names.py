# SPDX-License-Identifier: Apache-2.0
"""Which strings may be names: interfaces, containers, networks.

Every name that ends up in a path or a netlink message passes here first, so that none can climb
out of the directory it is meant for.
"""

LONGEST_INTERFACE_NAME = 15  # IFNAMSIZ - 1, include/uapi/linux/if.h
LONGEST_IDENTIFIER = 190  # it shares a file name of 255 bytes with an address and an interface


def interface_name_fault(name: str) -> str | None:
    """Say why `name` cannot be a network interface's name, or None if it can.

    The kernel's rule is dev_valid_name() in net/core/dev.c.
    """
    if not name:
        return "it is empty"
    if len(name.encode(errors="surrogatepass")) > LONGEST_INTERFACE_NAME:
        return f"it is longer than {LONGEST_INTERFACE_NAME} bytes"
    if name in (".", ".."):
        return "it is a directory's name"
    if any(c in "/:" or c.isspace() or not c.isprintable() for c in name):
        return "it contains '/', ':', white space or an unprintable character"
    return None


def is_pci_address(text: str) -> bool:
    """Tell whether the text is a PCI address like 0000:01:10.0 (domain:bus:device.function)."""
    parts = text.replace(".", ":").split(":")
    lengths = [len(part) for part in parts]
    return (
        text.isascii()
        and text.count(".") == 1
        and text[-2:-1] == "."
        and lengths in ([4, 2, 2, 1], [5, 2, 2, 1], [8, 2, 2, 1])
        and all(c in "0123456789abcdefABCDEF" for part in parts for c in part)
        and text[-1] in "01234567"
    )


def identifier_fault(name: str) -> str | None:
    """Say why `name` cannot be a container ID or a network name, or None if it can.

    The specification wants an alphanumeric character, then alphanumerics, '_', '.' and '-'.
    """
    if not name:
        return "it is empty"
    if len(name) > LONGEST_IDENTIFIER:
        return f"it is longer than {LONGEST_IDENTIFIER} characters"
    if not name.isascii() or not name[0].isalnum():
        return "it does not start with a letter or a digit of ASCII"
    if not all(c.isalnum() or c in "_.-" for c in name):
        return "it may contain only letters, digits, '_', '.' and '-'"
    return None
