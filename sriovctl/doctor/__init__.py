# SPDX-License-Identifier: Apache-2.0
"""`sriovctl doctor`: what is known to go wrong on a node, looked for, each with its remedy."""
