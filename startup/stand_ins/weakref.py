# SPDX-License-Identifier: Apache-2.0
"""proxy, which pyroute2 makes of messages; the real module has dictionaries and sets, too."""

from _weakref import proxy as proxy
