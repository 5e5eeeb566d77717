# SPDX-License-Identifier: Apache-2.0
"""The CNI protocol: what a runtime says to a plugin and what the plugin answers.

The vocabulary of this package (calls, results, errors) is spoken by the commands, the domain and
fixipam. It knows nothing of SR-IOV and imports nothing else of this project.
"""
