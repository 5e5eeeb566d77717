# SPDX-License-Identifier: Apache-2.0
"""fixipam: an IPAM plugin that grants the addresses a caller asks for.

Speaks the protocol of sriov_cni.cni, keeps leases with sriov_cni.store, and knows nothing else of
that package; any CNI plugin can use it.
"""
