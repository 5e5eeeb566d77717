# SPDX-License-Identifier: Apache-2.0
"""Run `sriov` in a bare interpreter as the frozen executable runs it: from_source.py ROOT.

Executed with -I -S -OO -X importtime, this shows what each import costs; a frozen program cannot.
"""

import sys

(root,) = sys.argv[1:]
sys._MEIPASS = f"{root}/dist/sriov-cni/_internal"  # type: ignore[attr-defined]
for path in (f"{root}/sriov_cni/frozen.py", f"{root}/sriov_cni/__main__.py"):
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), {"__name__": "__main__"})
