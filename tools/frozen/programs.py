# SPDX-License-Identifier: Apache-2.0
"""The start of both programs of sriov-node: they are one executable, and its name says which."""

import os
import sys

if os.path.basename(sys.argv[0]).startswith("sriov-agent"):
    from sriov_node.__main__ import main
else:
    from sriovctl.__main__ import main

main()
