# SPDX-License-Identifier: Apache-2.0
"""The line that the log has of each operation: who asked for what, of which VF, and how it ended.

Nothing of the configuration is in it but the network's name, nothing of CNI_ARGS but the pod's.
"""

from collections.abc import Mapping

from sriov_cni.cni import log
from sriov_cni.cni.call import OF_A_POD, Arguments
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.log import Value

_LONGEST = 320  # characters of a name; a pod's namespace and name have 317 at most


def write(
    environment: Mapping[str, str], config: JsonObject, seconds: float, error: CniError | None
) -> None:
    """Write the line of the call that environment and configuration describe, as they are.

    `seconds` is how long it took, `error` what it failed with.
    """
    values: dict[str, Value] = {
        **_request(environment, config),
        "duration": f"{seconds * 1000:.0f}ms",
        "outcome": "ok" if error is None else "error",
    }
    if error is not None:
        values |= {"code": error.code, "msg": error.msg, "details": error.details}
    given = {key: value for key, value in values.items() if value != ""}
    log.write_values("info" if error is None else "error", given)


def _request(environment: Mapping[str, str], config: JsonObject) -> dict[str, Value]:
    """Return what was asked for, and of which VF; not checked, since it may be what is wrong."""
    command, network = environment.get("CNI_COMMAND", ""), config.get("name")
    names = {"command": command, "network": network if isinstance(network, str) else ""}
    if command not in OF_A_POD:
        return _short(names)  # GC goes through many VFs
    names["container"] = environment.get("CNI_CONTAINERID", "")
    names["pod"] = _pod(environment.get("CNI_ARGS", ""))
    names["interface"] = environment.get("CNI_IFNAME", "")
    return {**_short(names), **log.noted()}


def _short(names: Mapping[str, str]) -> dict[str, Value]:
    return {key: name[:_LONGEST] for key, name in names.items()}


def _pod(arguments: str) -> str:
    """Return a pod's namespace and name, as far as CNI_ARGS has them."""
    try:
        given = Arguments.parse(arguments).values
    except CniError:
        return ""
    names = (given.get(f"K8S_POD_{key}", "") for key in ("NAMESPACE", "NAME"))
    return "/".join(filter(None, names))
