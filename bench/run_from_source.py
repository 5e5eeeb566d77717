# SPDX-License-Identifier: Apache-2.0
"""Run `sriov` in a bare interpreter as the frozen executable runs it: run_from_source.py ROOT.

Executed with -I -S -OO -X importtime, this shows what each import costs; a frozen program cannot.
"""

import sys

(root,) = sys.argv[1:]
sys._MEIPASS = f"{root}/dist/sriov-cni/_internal"  # type: ignore[attr-defined]
finder = sys.modules["startup.finder"] = type(sys)("startup.finder")
for path, variables in (
    ("startup/finder.py", vars(finder)),
    ("sriov_cni/__main__.py", {"__name__": "__main__"}),
):
    with open(f"{root}/{path}", encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), variables)
