# SPDX-License-Identifier: Apache-2.0
"""The commands of the specification, one module each; every one reads from top to bottom."""
