# SPDX-License-Identifier: Apache-2.0
"""Kubelet, as its device plugins see it: where its sockets are, and what it is asked and told."""
