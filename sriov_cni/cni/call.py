# SPDX-License-Identifier: Apache-2.0
"""One call of a plugin: the `CNI_*` environment and the configuration on stdin, validated.

Specification: section 2, "Execution Protocol"; the keys of CNI_ARGS: CONVENTIONS.md.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sriov_cni.cni import errors, names, versions
from sriov_cni.cni.document import Fields, JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
_RUNTIME_ARGUMENTS = (
    "IGNOREUNKNOWN",
    "K8S_POD_NAMESPACE",
    "K8S_POD_NAME",
    "K8S_POD_INFRA_CONTAINER_ID",
    "K8S_POD_UID",
)
_REQUIRED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": ("CNI_PATH",),
    "STATUS": (),
}
OF_A_POD = ("ADD", "CHECK", "DEL")


class Arguments(NamedTuple):
    """CNI_ARGS: its text as given, and its values under their keys in upper case."""

    text: str
    values: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Arguments":
        """Parse `KEY=VALUE;KEY=VALUE`; raise CniError (4) for anything else."""
        values = {}
        for pair in filter(None, text.split(";")):
            key, equals, value = pair.partition("=")
            if not equals or not key.strip():
                raise _invalid("CNI_ARGS", text, "of the form KEY=VALUE;KEY=VALUE")
            values[key.strip().upper()] = value.strip()
        return cls(text, values)


class Call(NamedTuple):
    """A validated call.

    `owner` is the attachment that the call is about and `netns` the path of its pod's network
    namespace, empty where the runtime has none left. GC and STATUS are about no attachment; theirs
    are empty. `path` is CNI_PATH, `version` the specification's version in force and `config` the
    whole configuration document.
    """

    command: str
    owner: Owner
    netns: str
    arguments: Arguments
    path: str
    network: str
    version: str
    config: JsonObject

    @property
    def fields(self) -> Fields:
        """The configuration, for typed reading."""
        return Fields(self.config)

    def requests(self, listed: Collection[str] = ()) -> tuple[Fields, Fields, Fields]:
        """Return what runtimeConfig, args.cni and CNI_ARGS ask for; empty values are left out.

        Whoever may create a pod writes args.cni (Multus copies a pod's `cni-args` there as they
        are): of it only `mac` and `ips` are heard, and the keys that the network has `listed`.
        """
        args = self.fields.object("args")
        heard = {"mac", "ips", *listed}
        pod = {k: v for k, v in _given(args and args.object("cni")).items() if k in heard}
        return (
            Fields(_given(self.fields.object("runtimeConfig")), "runtimeConfig."),
            Fields(pod, "args.cni."),
            Fields(_asked_by(self.arguments), "CNI_ARGS ", errors.INVALID_ENVIRONMENT),
        )

    def valid_attachments(self) -> frozenset[Owner]:
        """Return the owners whose attachments GC must keep.

        Raises CniError (7) if the list is absent: that is not an empty list.
        """
        key = "cni.dev/valid-attachments"
        if self.config.get(key) is None:
            raise self.fields.error_for(key, "a list of the attachments to keep")
        return frozenset(
            Owner(item.text("containerID") or "", item.text("ifname") or "")
            for item in self.fields.objects(key)
        )

    def refuse_unknown_arguments(self, known: tuple[str, ...]) -> None:
        """Raise CniError (4) for an unknown key of CNI_ARGS, unless IgnoreUnknown is set.

        CONVENTIONS.md leaves that to plugins; a misspelt VF= must not hand out any VF.
        """
        ignore = self.arguments.values.get("IGNOREUNKNOWN", "false")
        if ignore.lower() not in ("1", "t", "true", "0", "f", "false"):
            raise _invalid("CNI_ARGS", f"IgnoreUnknown={ignore}", "IgnoreUnknown=true or =false")
        unknown = set(self.arguments.values) - set(known) - set(_RUNTIME_ARGUMENTS)
        if unknown and ignore.lower() in ("0", "f", "false"):
            raise _invalid(
                "CNI_ARGS",
                ";".join(sorted(unknown)),
                f"made of the keys {', '.join(known)}, or carry IgnoreUnknown=1",
            )


def command_of(environment: Mapping[str, str]) -> str:
    """Return CNI_COMMAND; raise CniError (4) if it is missing or unknown."""
    command = environment.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise _invalid(
            "CNI_COMMAND",
            command,
            f"one of {', '.join(COMMANDS)} (a CNI plugin is executed by a container runtime)",
        )
    return command


def read(command: str, environment: Mapping[str, str], config: JsonObject, version: str) -> Call:
    """Return the call of `command` that environment and configuration describe.

    Raises CniError: 4 for the environment, 7 for a missing or invalid network name, 1 for a
    command that the version does not have.
    """
    versions.require(command, version)
    for variable in _REQUIRED[command]:
        if not environment.get(variable):
            raise _invalid(variable, "", f"set for {command}")
    return Call(
        command=command,
        owner=_owner(command, environment),
        netns=_text("CNI_NETNS", environment) if command in OF_A_POD else "",
        arguments=Arguments.parse(_text("CNI_ARGS", environment)),
        path=environment.get("CNI_PATH", ""),
        network=_network(Fields(config)),
        version=version,
        config=config,
    )


def _invalid(variable: str, value: str, right: str) -> CniError:
    return CniError(
        errors.INVALID_ENVIRONMENT,
        f"invalid {variable}",
        f"{variable} is {value!r:.80}, it must be {right}",
    )


def _given(place: Fields | None) -> dict[str, Any]:
    values = place.values if place is not None else {}
    return {key: value for key, value in values.items() if value not in (None, "", [])}


def _asked_by(arguments: Arguments) -> dict[str, Any]:
    """Return the requests among CNI_ARGS, which have no types: digits are a number."""
    asked: dict[str, Any] = {}
    for key in ("VF", "MAC", "VLAN"):
        if text := arguments.values.get(key):
            number = text.isascii() and text.isdigit() and len(text) < 20
            asked[key.lower()] = int(text) if number else text
    if addresses := arguments.values.get("IP"):
        asked["ips"] = addresses.split(",")
    return asked


def _owner(command: str, environment: Mapping[str, str]) -> Owner:
    if command not in OF_A_POD:
        return Owner("", "")
    container_id, ifname = environment["CNI_CONTAINERID"], environment["CNI_IFNAME"]
    if reason := names.why_no_identifier(container_id):
        raise _invalid("CNI_CONTAINERID", container_id, f"a container's ID ({reason})")
    if reason := names.why_no_interface_name(ifname):
        raise _invalid("CNI_IFNAME", ifname, f"an interface name ({reason})")
    return Owner(container_id, ifname)


def _text(variable: str, environment: Mapping[str, str]) -> str:
    """Return a variable that results and records quote, which are JSON: it must be text."""
    value = environment.get(variable, "")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(variable, value, "text in UTF-8") from None
    return value


def _network(fields: Fields) -> str:
    name = fields.text("name") or ""
    if reason := names.why_no_identifier(name):
        raise fields.error_for("name", f"a network's name ({reason})")
    return name
