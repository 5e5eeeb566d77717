# SPDX-License-Identifier: Apache-2.0
"""Tests in a guest whose first program is systemd: tests/lab/boot -s tests/boot/units."""
