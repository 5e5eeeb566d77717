# SPDX-License-Identifier: Apache-2.0
"""What developers run; its Python modules are the makers of images."""
