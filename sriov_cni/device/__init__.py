# SPDX-License-Identifier: Apache-2.0
"""PFs and VFs of this node: inventory, attributes, hand-over to a pod, return and restoration.

Knows the kernel and no protocol: no call, no record, no container. Its functions raise DeviceError,
and KernelError where the kernel refuses.
"""
