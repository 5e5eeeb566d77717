# SPDX-License-Identifier: Apache-2.0
"""The Go plugin's files, of attachments that it made before this plugin took its place.

That plugin (k8snetworkplumbingwg/sriov-cni 2.10, pkg/utils, pkg/config, pkg/types and pkg/sriov)
ends an ADD with two files in /var/lib/cni/sriov, the directory of our records unless dataDir says
otherwise: `<container>-<interface>` is the configuration as JSON, with `OrigVfState`, the VF before
the ADD; `pci/<address>` is the path of the network namespace that the VF was given to. Its DEL
removes both, so the second is the claim on the VF.

The claims are here, since every ADD looks for one; attachments.py has the rest.
"""

from contextlib import suppress

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.document import LONGEST_PATH
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel.sysfs import is_pci_address

_CLAIMS = "pci"  # the subdirectory of the claims on VFs


def pod_of(records: AttachmentRecords, address: str) -> str:
    """Return the path of the network namespace that the Go plugin gave a VF to, or "".

    Some of its releases make the file when they lock the VF: an empty one claims nothing.
    """
    with suppress(CniError, UnicodeDecodeError), records.directory() as directory:
        claims = directory.subdirectory(_CLAIMS, create=False)
        return claims.read(address, LONGEST_PATH + 1).decode().strip()
    return ""


def claimed(records: AttachmentRecords) -> list[str]:
    """Return the PCI addresses of all VFs that the Go plugin keeps a file of (see `pod_of`)."""
    with suppress(CniError), records.directory() as directory, suppress(FileNotFoundError):
        names = directory.subdirectory(_CLAIMS, create=False).names()
        return [name for name in names if is_pci_address(name)]
    return []


def end_claim(records: AttachmentRecords, address: str) -> None:
    """Remove the Go plugin's claim on a VF; none is no error. Raises CniError (104)."""
    with records.directory() as directory, suppress(FileNotFoundError):
        directory.subdirectory(_CLAIMS, create=False).remove(address)
