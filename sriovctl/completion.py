# SPDX-License-Identifier: Apache-2.0
"""`sriovctl completion`: what a shell needs to complete its commands."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog="\b\nExamples:\n  sriovctl completion bash >/etc/bash_completion.d/sriovctl\n"
    "  source <(sriovctl completion zsh)"
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion of commands, options, devices and resources."""
    root = context.find_root().command
    click.echo(_SHELLS[shell](root, {}, "sriovctl", "_SRIOVCTL_COMPLETE").source())
