# SPDX-License-Identifier: Apache-2.0
"""PFs and VFs of this node: which there are, what they are like, how one goes and comes back.

Knows the kernel and no protocol: no call, no record, no container. Whoever uses it catches
DeviceError, and KernelError for what the kernel refused.
"""
