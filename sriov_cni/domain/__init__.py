# SPDX-License-Identifier: Apache-2.0
"""What this plugin is about: which VF, in which state, for which attachment, with which record."""
