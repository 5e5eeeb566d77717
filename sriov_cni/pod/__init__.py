# SPDX-License-Identifier: Apache-2.0
"""The interface inside the pod: its addresses and routes, and its neighbours."""
