# SPDX-License-Identifier: Apache-2.0
"""What serves a node with SR-IOV cards: its inventory, and the device plugin that kubelet asks.

Built on sriov_cni's floors that know devices (device/, kernel/, store.py) and its records; the CNI
plugin imports nothing of it.
"""
