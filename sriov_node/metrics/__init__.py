# SPDX-License-Identifier: Apache-2.0
"""What the agent tells about the node over HTTP: metrics, and the answers to probes."""
