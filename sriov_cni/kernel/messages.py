# SPDX-License-Identifier: Apache-2.0
"""The messages of rtnetlink(7), as much of them as is used, declared for pyroute2's codec.

pyroute2's own declarations have everything: importing those, and looking through them, would take
a twentieth of an ADD (docs/performance.md). Attributes are (number, name, type); the names of types
are pyroute2's (nlmsg_atoms) or of a class within. Answers may have attributes that are not
declared; they are passed over. Layouts and numbers: include/uapi/linux/if_link.h, if_addr.h,
rtnetlink.h.
"""

import socket

from pyroute2.netlink import NLA_F_NESTED, nla, nlmsg

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}  # by IP version
SCOPE_GLOBAL, SCOPE_LINK = 0, 253  # enum rt_scope_t: of addresses and of routes


class LinkMessage(nlmsg):
    """struct ifinfomsg: a network device, and a PF's VFs."""

    fields = (
        ("family", "B"),
        ("__pad", "x"),
        ("ifi_type", "H"),
        ("index", "i"),
        ("flags", "I"),
        ("change", "I"),
    )
    nla_map = (
        (1, "IFLA_ADDRESS", "l2addr"),
        (2, "IFLA_BROADCAST", "l2addr"),
        (3, "IFLA_IFNAME", "asciiz"),
        (4, "IFLA_MTU", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (13, "IFLA_TXQLEN", "uint32"),
        (17, "IFLA_LINKMODE", "uint8"),
        (20, "IFLA_IFALIAS", "cdata"),
        (22, "IFLA_VFINFO_LIST", "_VfList"),
        (27, "IFLA_GROUP", "uint32"),
        (28, "IFLA_NET_NS_FD", "uint32"),
        (29, "IFLA_EXT_MASK", "uint32"),
        (40, "IFLA_GSO_MAX_SEGS", "uint32"),
        (41, "IFLA_GSO_MAX_SIZE", "uint32"),
        (43, "IFLA_XDP", "_Xdp"),
        (52, "IFLA_PROP_LIST", "_Properties"),
        (53, "IFLA_ALT_IFNAME", "asciiz"),
        (54, "IFLA_PERM_ADDRESS", "l2addr"),
        (56, "IFLA_PARENT_DEV_NAME", "asciiz"),
        (58, "IFLA_GRO_MAX_SIZE", "uint32"),
        (63, "IFLA_GSO_IPV4_MAX_SIZE", "uint32"),
        (64, "IFLA_GRO_IPV4_MAX_SIZE", "uint32"),
    )

    class _Xdp(nla):
        nla_flags = NLA_F_NESTED
        nla_map = (
            (1, "IFLA_XDP_FD", "int32"),
            (2, "IFLA_XDP_ATTACHED", "uint8"),
            (3, "IFLA_XDP_FLAGS", "uint32"),
            (5, "IFLA_XDP_DRV_PROG_ID", "uint32"),
            (6, "IFLA_XDP_SKB_PROG_ID", "uint32"),
            (7, "IFLA_XDP_HW_PROG_ID", "uint32"),
        )

    class _Properties(nla):
        nla_flags = NLA_F_NESTED
        nla_map = ((53, "IFLA_ALT_IFNAME", "asciiz"),)

    class _VfList(nla):
        nla_map = ((1, "IFLA_VF_INFO", "_VfInfo"),)

        class _VfInfo(nla):
            nla_map = (
                (1, "IFLA_VF_MAC", "_Mac"),
                (2, "IFLA_VF_VLAN", "_Vlan"),
                (4, "IFLA_VF_SPOOFCHK", "_Setting"),
                (5, "IFLA_VF_LINK_STATE", "_Setting"),
                (6, "IFLA_VF_RATE", "_Rate"),
                (9, "IFLA_VF_TRUST", "_Setting"),
                (12, "IFLA_VF_VLAN_LIST", "_VlanList"),
            )

            class _Mac(nla):
                fields = (("vf", "I"), ("mac", "32s"))

            class _Vlan(nla):
                fields = (("vf", "I"), ("vlan", "I"), ("qos", "I"))

            class _Setting(nla):
                fields = (("vf", "I"), ("setting", "I"))

            class _Rate(nla):
                fields = (("vf", "I"), ("min_tx_rate", "I"), ("max_tx_rate", "I"))

            class _VlanList(nla):
                nla_map = ((1, "IFLA_VF_VLAN_INFO", "_VlanInfo"),)

                class _VlanInfo(nla):
                    # with the padding at its end: kernels since 6.1 refuse one without
                    fields = (
                        ("vf", "I"),
                        ("vlan", "I"),
                        ("qos", "I"),
                        ("proto", ">H"),
                        ("__pad", "2x"),
                    )


class AddressMessage(nlmsg):
    """struct ifaddrmsg: an address of a device."""

    fields = (
        ("family", "B"),
        ("prefixlen", "B"),
        ("flags", "B"),
        ("scope", "B"),
        ("index", "I"),
    )
    nla_map = (
        (1, "IFA_ADDRESS", "ipaddr"),
        (2, "IFA_LOCAL", "ipaddr"),
        (4, "IFA_BROADCAST", "ipaddr"),
    )


class RouteMessage(nlmsg):
    """struct rtmsg: a route."""

    fields = (
        ("family", "B"),
        ("dst_len", "B"),
        ("src_len", "B"),
        ("tos", "B"),
        ("table", "B"),
        ("proto", "B"),
        ("scope", "B"),
        ("type", "B"),
        ("flags", "I"),
    )
    nla_map = (
        (1, "RTA_DST", "ipaddr"),
        (4, "RTA_OIF", "uint32"),
        (5, "RTA_GATEWAY", "ipaddr"),
        (6, "RTA_PRIORITY", "uint32"),
        (8, "RTA_METRICS", "_Metrics"),
        (15, "RTA_TABLE", "uint32"),
    )

    class _Metrics(nla):
        nla_map = ((2, "RTAX_MTU", "uint32"), (8, "RTAX_ADVMSS", "uint32"))
