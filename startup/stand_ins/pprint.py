# SPDX-License-Identifier: Apache-2.0
"""How netaddr prints the objects of its registries, which nobody prints."""

pformat = repr
