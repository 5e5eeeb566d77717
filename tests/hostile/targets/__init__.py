# SPDX-License-Identifier: Apache-2.0
"""The kinds of input: each module has a TARGET."""
