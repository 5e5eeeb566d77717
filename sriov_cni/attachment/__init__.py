# SPDX-License-Identifier: Apache-2.0
"""Attachments: which VF one gets, from which configuration, recorded how, taken down how."""
