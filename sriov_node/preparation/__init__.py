# SPDX-License-Identifier: Apache-2.0
"""Preparing the node's cards: VFs, their drivers, eswitch modes, as the node's file wants them."""
