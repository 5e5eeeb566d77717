# SPDX-License-Identifier: Apache-2.0
"""The exit codes of all commands, and the errors that lead to them."""

import click

OK = 0
PROBLEM = 1  # something is wrong, or a command could not do what it was to do
CRITICAL = 2  # `status`: pods cannot have devices
REFUSED = 11  # a device is in use: try again when it is free (the CNI's code for that)
USAGE = 64  # the command line is wrong (EX_USAGE in sysexits.h)


class Failed(click.ClickException):
    """A command could not do what it was to do; the message says why, and what would help."""

    exit_code = PROBLEM


class Refused(click.ClickException):
    """A device is in use; the message says by whom."""

    exit_code = REFUSED
