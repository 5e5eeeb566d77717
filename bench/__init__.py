# SPDX-License-Identifier: Apache-2.0
"""`make bench`: whole processes, side by side; docs/performance.md says what and how."""
