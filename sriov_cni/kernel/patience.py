# SPDX-License-Identifier: Apache-2.0
"""Waiting for a driver that is busy.

ice, i40e and iavf reset a VF after most changes to it, and until that is over answer EBUSY ("VF in
reset. Try again", ice_check_vf_ready_for_cfg() in drivers/net/ethernet/intel/ice) or EAGAIN (i40e;
iavf_set_mac(), after it has waited 2.5 s for the PF). Bringing up a VF that is reset is EBUSY as
well (iavf_open()).
"""

import errno
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sriov_cni.kernel.errors import KernelError

BUSY = (errno.EBUSY, errno.EAGAIN)
PATIENCE = 10.0  # seconds from the first refusal to the last attempt
_LONGEST_PAUSE = 0.25  # seconds

Answer = TypeVar("Answer")


def patiently(
    request: Callable[..., Answer], *arguments: Any, also: tuple[int, ...] = ()
) -> Answer:
    """Make a request to a PF's or VF's driver, and make it again while the driver is busy.

    The first attempt is made at once, others after growing pauses. `also` are error numbers that
    mean "busy" for this request, too. Raises KernelError: any other refusal at once, the last
    one when patience has run out.
    """
    deadline, pause = 0.0, 0.001
    while True:
        try:
            return request(*arguments)
        except KernelError as refusal:
            now = time.monotonic()
            deadline = deadline or now + PATIENCE
            if refusal.errno not in (*BUSY, *also) or now > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
