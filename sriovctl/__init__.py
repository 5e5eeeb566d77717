# SPDX-License-Identifier: Apache-2.0
"""`sriovctl`, the operator's tool: what is where on this node and why, and its preparation."""
