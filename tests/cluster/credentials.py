# SPDX-License-Identifier: Apache-2.0
"""The keys, certificates and tokens of the cluster, which ends with the guest."""

import base64
import json
from pathlib import Path

from tests.plugin import run

TOKEN = "lab-token"  # of a cluster that only its guest can reach
NAMES = "DNS:kubernetes.default,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1"


def make(directory: Path, address: str, server: str) -> None:
    """Write all files: a certificate for the node's address, a kubeconfig for the server."""
    directory.mkdir(parents=True)
    for name in ("ca", "server", "sa"):
        key = (
            "ecparam",
            "-genkey",
            "-name",
            "prime256v1",
            "-noout",
            "-out",
            f"{directory}/{name}.key",
        )
        run("openssl", *key)
    _certificate(directory, "ca", "-subj", "/CN=lab-ca")
    signed = ("-CA", f"{directory}/ca.crt", "-CAkey", f"{directory}/ca.key")
    names = f"subjectAltName={NAMES},IP:{address}"
    _certificate(directory, "server", "-subj", "/CN=server", "-addext", names, *signed)
    run("openssl", "ec", "-in", f"{directory}/sa.key", "-pubout", "-out", f"{directory}/sa.pub")
    (directory / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n", encoding="ascii")
    authority = base64.b64encode((directory / "ca.crt").read_bytes()).decode()
    cluster = {"server": server, "certificate-authority-data": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "lab",
    }
    (directory / "kubeconfig").write_text(json.dumps(config), encoding="ascii")


def _certificate(directory: Path, name: str, *options: str) -> None:
    files = ("-key", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt")
    run("openssl", "req", "-x509", "-new", "-days", "3650", *files, *options)
