# SPDX-License-Identifier: Apache-2.0
"""The device plugin: which devices are which resource's, and what a container gets with one."""
