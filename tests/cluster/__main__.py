# SPDX-License-Identifier: Apache-2.0
"""Start the cluster, or what of it does not run, for whoever uses it by hand."""

from tests.cluster.installation import start

if __name__ == "__main__":
    start()
