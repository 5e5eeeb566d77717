# SPDX-License-Identifier: Apache-2.0
"""The kernel as this project uses it: sysfs for discovery, rtnetlink for change, namespaces.

Wire formats, sysfs paths and errno handling stay in here. Imports nothing else of this project.
"""
