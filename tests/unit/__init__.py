# SPDX-License-Identifier: Apache-2.0
"""Tests that need no privileges: protocol, validation, state, and fixipam as a whole."""
