# SPDX-License-Identifier: Apache-2.0
"""The API server as tests use it: JSON in and out, without kubectl's start, which takes seconds."""

import http.client
import json
import ssl
from contextlib import suppress
from typing import Any

Object = dict[str, Any]
PLURALS = {"NetworkAttachmentDefinition": "network-attachment-definitions"}
CLUSTER_WIDE = ("Node", "Namespace", "CustomResourceDefinition")


class RefusedError(Exception):
    """The API server's answer is an error: its HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A connection for each request, so that the server may be restarted between two."""

    def __init__(self, host: str, port: int, ca: str, token: str) -> None:
        self._place = host, port
        self._ca = ca
        self._token = token

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "") -> Any:
        """Return the answer's document.

        `kind` is the body's media type. Raises RefusedError, and OSError if there is no server.
        """
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": kind or "application/json",
            "Accept": "application/json",
        }
        trust = ssl.create_default_context(cafile=self._ca)
        connection = http.client.HTTPSConnection(*self._place, timeout=60, context=trust)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:  # it went in the middle of an answer
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()
        if answer.status >= 300:
            with suppress(ValueError, LookupError, TypeError):
                text = json.loads(text)["message"]
            raise RefusedError(answer.status, text)
        return json.loads(text) if text.startswith("{") else text

    def apply(self, *objects: Object) -> None:
        """Create or change objects (server-side apply)."""
        for each in objects:
            path = f"{path_of(each)}?fieldManager=tests&force=true"
            self.request("PATCH", path, each, "application/apply-patch+yaml")

    def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """Return an object, None if there is none of that name."""
        try:
            found: Object = self.request("GET", path_to(kind, name, namespace))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(self, kind: str, namespace: str = "default", labels: str = "") -> list[Object]:
        """Return all objects of a kind in a namespace, those with the labels given."""
        path = path_to(kind, "", namespace)
        answer = self.request("GET", f"{path}?labelSelector={labels}" if labels else path)
        return list(answer["items"])

    def delete(self, kind: str, name: str, namespace: str = "default", grace: int = -1) -> None:
        """Delete an object, if it is there; `grace` 0 does not wait for the node (force)."""
        options = {} if grace < 0 else {"gracePeriodSeconds": grace}
        try:
            self.request("DELETE", path_to(kind, name, namespace), options)
        except RefusedError as error:
            if error.status != 404:
                raise


def path_of(each: Object) -> str:
    """Return an object's path."""
    metadata = each["metadata"]
    return path_to(
        each["kind"], metadata["name"], metadata.get("namespace", "default"), each["apiVersion"]
    )


def path_to(kind: str, name: str, namespace: str, version: str = "") -> str:
    """Return the path of an object by its kind, or of all of the kind if `name` is empty."""
    version = version or VERSIONS.get(kind, "v1")
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    parts = ["apis" if "/" in version else "api", version]
    if kind not in CLUSTER_WIDE:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, plural, *([name] if name else [])])


VERSIONS = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io/v1",
}
