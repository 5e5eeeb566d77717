# SPDX-License-Identifier: Apache-2.0
"""What stands in a bundle for the __init__ of a package of which only some modules are used."""
