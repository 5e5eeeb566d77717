# SPDX-License-Identifier: Apache-2.0
"""Which strings may be names: interfaces, containers, networks.

Every name that ends up in a path or a netlink message passes here first, so that none can climb
out of the directory it is meant for.
"""

LONGEST_INTERFACE_NAME = 15  # IFNAMSIZ - 1, include/uapi/linux/if.h
LONGEST_IDENTIFIER = 190  # it shares a file name of 255 bytes with an address and an interface


def why_no_interface_name(name: str) -> str | None:
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


def why_no_identifier(name: str) -> str | None:
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
