# SPDX-License-Identifier: Apache-2.0
"""Values and keys that an enemy would try: the ends of ranges, look-alikes, and what climbs."""

from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 8, 68, 4094, 4095, 65535, 1 << 16, 1 << 31, (1 << 32) - 1),
    *(1 << 32, 1 << 63, 1 << 64, 10**30, 0.5, 1e308, -0.0),
    *("", "x", ".", "..", "../../x", "/", "a/b", "a b", "a,b", "-", "\0", "a\0b", "a\nb", "\r"),
    *(
        "\x1b[2J",
        "\u202e",
        "\u00e9",
        "\U0001f600",
        "\ud800",
        "\udcff",
        "x" * 300,
        "../" * 100,
        "a" * 5000,
    ),
    *("on", "off", "auto", "enable", "true", "debug", "verbose", "802.1ad", "fixipam", "hostile"),
    *("10.1.0.0/24", "10.1.0.5", "10.1.0.5/24", "10.1.0.255", "0.0.0.0/0", "255.255.255.255/32"),
    *("fd00:1::/64", "fd00:1::5/64", "::/0", "::", "::ffff:10.1.0.5/128", "fe80::1%lo", "1", "010"),
    *("10.0.0.0/33", "10.0.0.0/255.0.0.0", "66:d8:02:77:aa:aa", "66d8.0277.aaaa", "ff:" * 6),
    *("0000:01:10.0", "0000:01:10.1", "0000:01:10.f", "0000:01:00.0", "ffffffff:ff:ff.7"),
    *("eth1", "eth1v0", "eth1v1", "net1", "lo", "pod", "layer2", "sriov", "returned", "lock"),
    *("json", "0.1.0", "0.3.1", "1.1.0", "/run/netns/pod", "/run/netns/none", "/proc/self/ns/net"),
    *([], {}, [None], [""], [[]], [{}], {"": None}, [1], ["10.1.0.5"], {"cni": {}}),
)
KEYS = (
    *("cniVersion", "name", "type", "master", "deviceID", "pciBusID", "vf", "pfOnly", "mac"),
    *("vlan", "vlanQoS", "vlanProto", "spoofchk", "trust", "link_state", "min_tx_rate"),
    *("max_tx_rate", "mtu", "ipam", "dns", "dataDir", "logLevel", "logFile", "capabilities"),
    *(
        "logFormat",
        "requests",
        "runtimeConfig",
        "args",
        "prevResult",
        "cni",
        "ips",
        "ip4",
        "ip6",
        "ip",
        "routes",
        "dst",
    ),
    *("gw", "gateway", "interface", "interfaces", "sandbox", "advmss", "priority", "table"),
    *("scope", "subnet", "ranges", "rangeStart", "rangeEnd", "nameservers", "search", "options"),
    *("domain", "cni.dev/valid-attachments", "containerID", "ifname", "code", "msg", "details"),
)
