# SPDX-License-Identifier: Apache-2.0
"""Hostile input: whatever comes in, the answer is right and nothing else is touched."""
