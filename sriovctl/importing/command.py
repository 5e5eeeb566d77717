# SPDX-License-Identifier: Apache-2.0
"""The command `sriovctl import`."""

from typing import Any

import click
from click.core import ParameterSource

from sriov_cni.cni.document import JsonObject
from sriov_cni.kernel.errors import KernelError
from sriov_node.fields import Findings
from sriov_node.inventory.scan import Inventory
from sriov_node.preparation import marker, observation, witnesses
from sriov_node.preparation.facts import Facts
from sriovctl import console, exits
from sriovctl.importing import configmap, documents, policy
from sriovctl.importing.documents import Document
from sriovctl.importing.policies import for_node
from sriovctl.importing.policy import Policy
from sriovctl.importing.result import checked
from sriovctl.importing.running import from_node
from sriovctl.places import Places, pass_places

_OPERATORS = "openshift.io"  # the operator's own RESOURCE_PREFIX
_EPILOG = """\b
Examples:
  sriovctl import --from-node
  sriovctl import policies.yaml --node-labels zone=a >node.json
  kubectl get sriovnetworknodepolicies -A -o yaml | sriovctl import -
  kubectl -n kube-system get configmap sriovdp-config -o yaml | sriovctl import -

\b
Exit codes:
  0   a node's file is printed; lines on stderr say what is not in it
  1   a file cannot be read, or a policy has a fault; nothing is printed
  64  the command line is wrong
"""


@click.command(name="import", epilog=_EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--from-node", "is_from_node", is_flag=True, help="Take the node as it is now.")
@click.option(
    "--node-labels",
    metavar="KEY=VALUE,...",
    help="This node's labels: policies for other nodes are left out.",
)
@click.pass_context
def import_command(
    context: click.Context, /, files: tuple[str, ...], is_from_node: bool, node_labels: str | None
) -> None:
    """Print a node's file made of what you have; nothing is changed.

    FILE is YAML or JSON with SriovNetworkNodePolicy objects, or with the ConfigMap or the
    configuration of the SR-IOV network device plugin; - is standard input. PFs are looked for on
    this node. What has no counterpart in a node's file is named on stderr.
    """
    places = context.find_object(Places) or Places()
    if not files and not is_from_node:
        raise click.UsageError("give a FILE, - for standard input, or --from-node")
    labels = _labels(node_labels)
    read = [document for path in files for document in documents.read(path)]
    findings = Findings()
    policies, resources = _sorted_out(read, labels, findings)
    facts = _look(places) if policies or is_from_node else Facts()
    functions: list[JsonObject] = from_node(facts)["functions"] if is_from_node else []
    if policies:
        wanted, announced = for_node(policies, facts.pfs.values(), _prefix(context), findings)
        there = {function["match"].get("address") for function in wanted}
        functions = [f for f in functions if f["match"]["address"] not in there] + wanted
        resources = [*announced, *resources]
    value = checked(functions, resources, places.resource_prefix, findings)
    for warning in findings.warnings:
        click.echo(f"Warning: {warning}", err=True)
    console.show_json(value)


@click.command(name="export", epilog="\b\nExamples:\n  sriovctl node export >/etc/sriov/node.json")
@pass_places
def export_command(places: Places) -> None:
    """Print a node's file that wants the PFs as they are: VFs, drivers, MTU, eswitch mode."""
    console.show_json(from_node(_look(places)))


def _look(places: Places) -> Facts:
    """Return what is the case on this node; raise Failed."""
    try:
        snapshot = Inventory(places.data_dir, keeps=False).scan()
        return observation.facts(snapshot, witnesses.given_to({}), marker.held())
    except KernelError as error:
        raise exits.Failed(str(error)) from None


def _sorted_out(
    read: list[Document], labels: dict[str, str] | None, findings: Findings
) -> tuple[list[Policy], list[Any]]:
    """Return the policies for this node, and the resources of device plugins' configurations."""
    policies: list[Policy] = []
    resources: list[Any] = []
    for document in read:
        kind = document.values.get("kind")
        findings.resource = ""
        if policy.is_policy(document.values):
            if not policy.is_for_no_card(document.values):
                found = policy.read(document.values, findings)
                policies += [found] if _is_for(found, labels, findings) else []
        elif kind == "ConfigMap":
            resources += configmap.of_config_map(document, findings)
        elif configmap.is_configuration(document.values):
            resources += configmap.resources(document.values, document.path)
        else:
            what = f"a {kind}" if isinstance(kind, str) and kind.isidentifier() else "an object"
            findings.warn(f"{document.path}: {what} that has nothing for a node's file: left out")
    if findings.faults:
        for fault in findings.faults[:-1]:
            click.echo(f"Error: {fault}", err=True)
        raise exits.Failed(str(findings.faults[-1]))
    return policies, resources


def _is_for(found: Policy, labels: dict[str, str] | None, findings: Findings) -> bool:
    """Tell whether a policy is for a node with such labels; without labels that is assumed."""
    selector = ", ".join(f"{key}={value}" for key, value in sorted(found.node_selector.items()))
    if labels is None and selector:
        findings.warn(
            f"spec.nodeSelector ({selector}) is taken to select this node: "
            "--node-labels tells its labels"
        )
    if labels is None or found.node_selector.items() <= labels.items():
        return True
    findings.warn(f"spec.nodeSelector ({selector}) does not select this node: left out")
    return False


def _labels(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    pairs = [pair.partition("=") for pair in filter(None, text.split(","))]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise click.BadParameter(f"{text} must be labels like zone=a,role=worker")
    return {key: value for key, _, value in pairs}


def _prefix(context: click.Context) -> str:
    """Return the prefix of policies' resources: the operator's, unless another one is given."""
    root = context.find_root()
    if root.get_parameter_source("resource_prefix") is ParameterSource.COMMANDLINE:
        return str(root.params["resource_prefix"])
    return _OPERATORS
