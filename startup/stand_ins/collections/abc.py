# SPDX-License-Identifier: Apache-2.0
"""Abstract classes as annotations name them, which nobody reads here: all are typing's Any."""

from typing import Any


def __getattr__(_: str) -> object:
    return Any
