# SPDX-License-Identifier: Apache-2.0
"""Kubelet's gRPC interfaces: device plugins, plugin registration and pod resources.

`make protocols` makes the modules *_pb2 and *_grpc from the .proto files, which have the names and
numbers of kubelet's own, as far as they are used here.
"""
