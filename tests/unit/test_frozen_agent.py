# SPDX-License-Identifier: Apache-2.0
"""What the agent's bundle has of its own: no TLS, and libraries found by their names."""

import subprocess
import sys
from pathlib import Path

from tests.unit.executable import REPOSITORY

FROZEN = REPOSITORY / "tools" / "frozen"
# What the agent does with libraries that import ssl.
SERVING = """
import asyncio, sys
import ssl, urllib.request
assert ssl.__file__.startswith(sys.argv[1]), ssl.__file__
from grpclib.client import Channel
from grpclib.server import Server
from prometheus_client import start_http_server
from sriov_node.kubelet.api.deviceplugin_grpc import RegistrationBase, RegistrationStub
from sriov_node.kubelet.api.deviceplugin_pb2 import Empty, RegisterRequest

class Registration(RegistrationBase):
    async def Register(self, stream):
        await stream.recv_message()
        await stream.send_message(Empty())

async def serve():
    server = Server([Registration()])
    await server.start(path=sys.argv[2])
    async with Channel(path=sys.argv[2]) as channel:
        await RegistrationStub(channel).Register(RegisterRequest(version="v1beta1"))
    server.close()
    await server.wait_closed()

asyncio.run(serve())
http, _ = start_http_server(0, "127.0.0.1")
with urllib.request.urlopen(f"http://127.0.0.1:{http.server_port}/metrics") as answer:
    assert b"python_info" in answer.read()
"""
FINDING = """
import find_library
import asyncinotify, ctypes, ctypes.util
ctypes.CDLL(ctypes.util.find_library("c")).getpid()
with asyncinotify.Inotify() as inotify:
    inotify.add_watch("/", asyncinotify.Mask.CREATE)
assert ctypes.util.find_library("udev") == "libudev.so.1"
assert ctypes.util.find_library("inotify") is None
"""


def executed(script: str, *arguments: str) -> str:
    """Run a script as the bundle would, with no program in its path; return its complaints."""
    environment = {"PYTHONPATH": f"{FROZEN}:{REPOSITORY}", "PATH": "/nowhere"}
    command = (sys.executable, "-c", script, *arguments)
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=30)
    return done.stderr


def test_grpc_and_metrics_are_served_without_tls(tmp_path: Path) -> None:
    assert executed(SERVING, str(FROZEN), str(tmp_path / "socket")) == ""


def test_a_context_of_tls_is_refused_and_not_pretended() -> None:
    said = executed("import ssl; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)")
    assert said.endswith("NotImplementedError: sriov-agent is built without TLS\n")


def test_libraries_are_found_without_the_programs_that_search_for_them() -> None:
    assert executed(FINDING) == ""
