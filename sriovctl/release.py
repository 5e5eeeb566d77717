# SPDX-License-Identifier: Apache-2.0
"""`sriovctl release`: take an attachment down whose pod is gone, as its DEL would have done."""

import asyncio
import sys
from collections.abc import Iterator
from typing import NamedTuple

import click

from sriov_cni.attachment import goplugin
from sriov_cni.attachment.goplugin import attachments
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.cni import errors
from sriov_cni.cni.call import Arguments, Call
from sriov_cni.cni.document import shown
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.cni.versions import NEWEST, SUPPORTED
from sriov_cni.commands.delete import delete_recorded
from sriov_cni.kernel import netns, sysfs
from sriov_cni.kernel.errors import KernelError
from sriov_node import names
from sriov_node.kubelet import holder
from sriovctl import exits
from sriovctl.places import Places, pass_places

_PATH = "/opt/cni/bin"  # where IPAM plugins are looked for
_EPILOG = """\b
Examples:
  sriovctl release 3f2a91 net1
  sriovctl release 0000:3b:02.1
  sriovctl release 3f2a91 --yes

\b
Exit codes:
  0   released, or there was nothing to release
  1   it could not be released: the message says why; another attempt may succeed
  11  its pod may be alive, and --yes was not given; or another operation has the VF
"""


@click.command(epilog=_EPILOG)
@click.argument("what", metavar="CONTAINER|VF")
@click.argument("interface", required=False)
@click.option("--yes", is_flag=True, help="Do not ask, even if the pod may be alive.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and whether it is safe.")
@pass_places
def release(places: Places, what: str, interface: str | None, yes: bool, dry_run: bool) -> None:
    """Give a VF back to the host, and its addresses to IPAM, as the pod's DEL does.

    For attachments whose pod ended without a DEL. CONTAINER is the sandbox's ID, or how it begins;
    `sriovctl attachments -o wide` lists them. Whether the pod is gone is looked at first: its
    network namespace, and what kubelet says. If it may be alive, you are asked.
    """
    try:
        records = AttachmentRecords.existing(places.data_dir)
        chosen = _meant(records, what, interface) if records is not None else []
        if records is None or not chosen:
            click.echo(f"No attachment belongs to {what}{f' {interface}' if interface else ''}.")
            return
        for it in chosen:
            _release(places, records, it, yes=yes, dry_run=dry_run)
    except CniError as error:
        raise _as_failure(error) from None
    except KernelError as error:
        raise exits.Failed(str(error)) from None


class _Attachment(NamedTuple):
    """An attachment: its VF, and what is known of it.

    `network` and `netns` are empty where no record tells them; `record` is None of a damaged one,
    and of what the Go plugin attached. `has_vf` is False once the VF is home, or its boot over:
    only addresses remain.
    """

    owner: Owner
    address: str
    network: str
    netns: str
    record: Record | None
    has_vf: bool = True


def _meant(records: AttachmentRecords, what: str, interface: str | None) -> list[_Attachment]:
    """Return the attachments that are meant; raise Failed if these are several containers'."""
    if not what:
        raise click.BadParameter("it is empty: write a container's ID, or the address of a VF")
    try:
        address = names.pci_address(what)
    except ValueError:
        address = ""
    found = [
        each
        for each in (*_recorded(records), *_of_go_plugin(records))
        if (each.address == address if address else each.owner.container_id.startswith(what))
        and interface in (None, each.owner.ifname)
    ]
    found = [each for each in found if each.owner.container_id == what] or found
    containers = sorted({each.owner.container_id for each in found})
    if len(containers) > 1:
        raise exits.Failed(f"{what} is ambiguous: {', '.join(containers)}; write more of it")
    return sorted(found, key=lambda each: each.owner)


def _recorded(records: AttachmentRecords) -> Iterator[_Attachment]:
    for name in records.versions():
        try:
            record = records.read(name)
        except UnreadableError as error:
            if error.newer:
                raise
            yield _Attachment(name.owner, name.claim, "", "", None)
        else:
            if record is not None:
                address, has_vf = record.function.address, records.claims(record)
                yield _Attachment(name.owner, address, record.network, record.netns, record, has_vf)


def _of_go_plugin(records: AttachmentRecords) -> Iterator[_Attachment]:
    """Yield what the Go plugin attached: its files are called <container>-<interface>."""
    with records.directory() as directory:
        listed = directory.names()
    for name in listed:
        container, dash, ifname = name.rpartition("-")
        owner = Owner(container, ifname)
        function = attachments.function_of(records, owner) if dash and "," not in name else None
        if function is not None:
            pod = goplugin.pod_of(records, function.address)
            # a record must have one, and without IPAM none is looked up
            network = attachments.network_of(records, owner) or "unknown"
            yield _Attachment(owner, function.address, network, pod, None)


def _release(
    places: Places, records: AttachmentRecords, it: _Attachment, *, yes: bool, dry_run: bool
) -> None:
    doubts = list(_doubts(places, it))
    for doubt in doubts:
        click.echo(f"{it.owner}: {doubt}", err=True)
    if dry_run:
        how = "after a question" if doubts else "at once: its pod is gone"
        click.echo(f"{it.owner} would be released {how}.")
        return
    if doubts and not yes:
        if not sys.stdin.isatty():
            raise exits.Refused(f"{it.owner} may be alive: --yes releases it all the same")
        click.confirm(f"Release {it.owner} all the same?", abort=True)
    there_was_one = delete_recorded(records, it.owner, _call(it))
    click.echo(f"{it.owner}: {'; '.join(_done(it, there_was_one=there_was_one))}.")


def _done(it: _Attachment, *, there_was_one: bool) -> Iterator[str]:
    """Yield what came of a release."""
    if not there_was_one:
        yield "its record is set aside, and nothing else is done" if not it.record else "it is gone"
        return
    netdevs = sysfs.netdev_names(it.address) if it.has_vf else ()
    if netdevs:
        yield f"{it.address} is on the host as {', '.join(netdevs)}"
    else:
        yield f"it has {it.address} no more"
    ipam = it.record.config.get("ipam") if it.record is not None else None
    if it.record is None:
        yield "addresses are not released: the Go plugin did not write down how"
    elif isinstance(ipam, dict) and ipam.get("type"):
        yield f"{shown(ipam['type'])} has released its addresses"


def _as_failure(error: CniError) -> click.ClickException:
    """Return how the tool ends where the plugin fails: its code for what may pass is ours, too."""
    kind = exits.Refused if error.code == errors.TRY_AGAIN_LATER else exits.Failed
    return kind(str(error))


def _doubts(places: Places, it: _Attachment) -> Iterator[str]:
    """Yield why a pod may be alive, in words; nothing if it is proven to be gone."""
    if not it.has_vf:
        return  # a DEL has been here, or a reboot
    if not it.netns:
        yield "its record does not tell its network namespace, so its pod may be alive"
    elif netns.exists(it.netns):
        yield f"its network namespace {it.netns} exists, so its pod may be alive"
    holders = asyncio.run(holder.ask(places.kubelet_dir))
    if holders is None:
        yield "kubelet does not answer, so its pod may be alive"
    elif (container := holders.get(it.address)) is not None:
        yield (
            f"kubelet gave {it.address} to container {container.container} of pod "
            f"{container.namespace}/{container.pod}"
        )


def _call(it: _Attachment) -> Call:
    """Return the DEL that the runtime never made."""
    record = it.record
    config = record.config if record is not None else {}
    version = config.get("cniVersion")
    return Call(
        command="DEL",
        owner=it.owner,
        netns="",
        arguments=record.arguments if record is not None else Arguments("", {}),
        path=_PATH,
        network=it.network,
        version=version if version in SUPPORTED else NEWEST,
        config=config,
    )
