# SPDX-License-Identifier: Apache-2.0
"""Locks, which pyroute2 makes and nobody waits for: there is one thread."""

import _thread

local, Lock, RLock = _thread._local, _thread.allocate_lock, _thread.RLock
