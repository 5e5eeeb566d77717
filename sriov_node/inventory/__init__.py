# SPDX-License-Identifier: Apache-2.0
"""The network devices of this node that pods could have, and who has them.

Knows sysfs, rtnetlink and the plugin's records by way of sriov_cni; nothing of kubelet.
"""
