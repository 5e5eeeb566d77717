# SPDX-License-Identifier: Apache-2.0
"""A CNI plugin that attaches pods to SR-IOV virtual functions."""

__version__ = "0.1.0"
