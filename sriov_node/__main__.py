# SPDX-License-Identifier: Apache-2.0
"""`sriov-agent`: the device plugin of a node with SR-IOV cards."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sriov_cni import __version__
from sriov_node import log, names
from sriov_node.agent import Agent, Options
from sriov_node.device_plugin.endpoint import Files
from sriov_node.kubelet import paths
from sriov_node.metrics.server import Address
from sriov_node.metrics.service import Settings

CDI = "/var/run/cdi"
_DEFAULTS = Options()


def main() -> None:
    """Serve until SIGTERM or SIGINT, and exit 0 then; 2 if the command line is wrong."""
    options, arguments = _read_arguments(sys.argv[1:])
    log.begin("sriov-agent", arguments.log_level, arguments.log_format)
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    serving = asyncio.ensure_future(Agent(options).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await serving


def _read_arguments(words: Sequence[str]) -> tuple[Options, argparse.Namespace]:
    parser = _parser()
    arguments = parser.parse_args(words)
    options = Options(
        config_file=arguments.config_file,
        config_dir=arguments.config_dir,
        resource_prefix=arguments.resource_prefix,
        data_dir=arguments.data_dir,
        kubelet_dir=arguments.kubelet_dir,
        watched=arguments.registration == "watcher",
        files=Files(cdi=CDI if arguments.use_cdi else None),
        ready_file=arguments.ready_file,
        metrics=Settings(arguments.metrics_address, arguments.exporter_names),
    )
    try:
        paths.require_short(
            f"{paths.plugins_registry(options.kubelet_dir)}/{paths.socket_name('')}"
        )
    except ValueError as error:
        parser.error(str(error))
    return options, arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "sriov-agent",
        description="Tell kubelet which virtual functions this node has, and give them to pods.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def flag(name: str, **settings: Any) -> None:
        """Add a flag; -name stands for --name, as with the established device plugin."""
        parser.add_argument(f"--{name}", f"-{name}", **settings)

    flag(
        "config-file",
        metavar="PATH",
        default=_DEFAULTS.config_file,
        help="the resources of this node, as docs/device-plugin.md describes them",
    )
    flag(
        "config-dir",
        metavar="DIRECTORY",
        type=_absolute,
        default=_DEFAULTS.config_dir,
        help="the node's files, as docs/node.md describes them: node.json and node.d/*.json",
    )
    flag(
        "resource-prefix",
        metavar="NAME",
        type=_prefix,
        default=_DEFAULTS.resource_prefix,
        help="of resources that have none of their own",
    )
    flag("use-cdi", action="store_true", help=f"give devices by CDI, with specifications in {CDI}")
    flag(
        "registration",
        choices=("kubelet", "watcher"),
        default="kubelet",
        help="register with kubelet, or wait to be found in its plugins_registry",
    )
    flag(
        "kubelet-dir",
        metavar="DIRECTORY",
        type=_absolute,
        default=_DEFAULTS.kubelet_dir,
        help="kubelet's --root-dir",
    )
    flag(
        "data-dir",
        metavar="DIRECTORY",
        type=_absolute,
        default=_DEFAULTS.data_dir,
        help="the networks' dataDir: where the CNI plugin keeps its records",
    )
    flag(
        "metrics-address",
        metavar="HOST:PORT",
        type=_address,
        default="127.0.0.1:9808",
        help='where metrics and probes are served, "" for nowhere',
    )
    flag(
        "exporter-names",
        action="store_true",
        help="serve metrics under the names of the SR-IOV network metrics exporter, too",
    )
    flag(
        "ready-file",
        metavar="PATH",
        type=_absolute,
        help="made when kubelet knows all resources by this agent, and removed before",
    )
    flag("log-level", choices=log.LEVELS, default="info", help="what is written at least")
    flag("log-format", choices=log.FORMATS, default="text", help="how lines are written")
    flag("version", action="version", version=f"sriov-agent {__version__}")
    return parser


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text} must be an absolute path")
    return text.rstrip("/") or "/"


def _address(text: str) -> Address | None:
    """Return where to listen; an IPv6 address is in brackets."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    well_formed = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not (colon and bare and well_formed) or (":" in bare and bare == host):
        raise argparse.ArgumentTypeError(
            f"{text} must be HOST:PORT or [IPV6]:PORT, with a port of at most 65535"
        )
    return Address(bare, int(port))


def _prefix(text: str) -> str:
    try:
        return names.resource_prefix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} must be {error}") from None


if __name__ == "__main__":
    main()
