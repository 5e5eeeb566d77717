# SPDX-License-Identifier: Apache-2.0
"""`sriovctl bundle`: what a bug report needs, in one file, without secrets."""
