# SPDX-License-Identifier: Apache-2.0
"""Execute a program and note the peak of its memory: run_for_peak.py FILE PROGRAM [ARGUMENT...].

Executed with -I -S, to be small: a process begins with the peak of the one that executed it, and
only what fork() copies counts there. FILE gets the largest process's peak, in KiB.
"""

import sys
from posix import _exit, environ, execve, fork, wait4, waitstatus_to_exitcode

process = fork()
if process == 0:
    try:
        execve(sys.argv[2], sys.argv[2:], environ)
    finally:
        _exit(127)
_, status, usage = wait4(process, 0)
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(waitstatus_to_exitcode(status))
