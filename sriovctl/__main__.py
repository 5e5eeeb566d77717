# SPDX-License-Identifier: Apache-2.0
"""`sriovctl`: its commands, and the options that all of them have."""

import importlib

import click

from sriov_cni import __version__
from sriovctl import exits
from sriovctl.places import Places

_DEFAULTS = Places()
click.UsageError.exit_code = exits.USAGE  # click's own is 2, which `status` needs


_COMMANDS = {
    "status": "sriovctl.status:status",
    "pfs": "sriovctl.tables:pfs",
    "vfs": "sriovctl.tables:vfs",
    "attachments": "sriovctl.tables:attachments",
    "explain": "sriovctl.explain:explain",
    "doctor": "sriovctl.doctor.command:doctor",
    "release": "sriovctl.release:release",
    "node": "sriovctl.node:node",
    "import": "sriovctl.importing.command:import_command",
    "bundle": "sriovctl.bundle.command:bundle",
    "rescan": "sriovctl.agent:rescan",
    "reload": "sriovctl.agent:reload",
    "completion": "sriovctl.completion:completion",
}


class _Commands(click.Group):
    """Commands that are imported when they are called, or listed: together they import a lot."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands, in the order of their help."""
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, None if there is no such one."""
        module, _, attribute = _COMMANDS.get(name, "").partition(":")
        if not module:
            return None
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="sriovctl")
@click.option(
    "--data-dir",
    type=click.Path(),
    default=_DEFAULTS.data_dir,
    show_default=True,
    help="Where the CNI plugin keeps its records.",
)
@click.option(
    "--config-dir",
    type=click.Path(),
    default=_DEFAULTS.config_dir,
    show_default=True,
    help="Where node.json and node.d/ are.",
)
@click.option(
    "--config-file",
    type=click.Path(),
    default=_DEFAULTS.config_file,
    show_default=True,
    help="The device plugin's own configuration.",
)
@click.option(
    "--resource-prefix",
    default=_DEFAULTS.resource_prefix,
    show_default=True,
    help="Of resources that have none of their own.",
)
@click.option(
    "--kubelet-dir",
    type=click.Path(),
    default=_DEFAULTS.kubelet_dir,
    show_default=True,
    help="Kubelet's --root-dir.",
)
@click.pass_context
def main(context: click.Context, /, **options: str) -> None:
    """Tell what is where on this node and why, and prepare its cards."""
    context.obj = Places(**options)


if __name__ == "__main__":
    main()
