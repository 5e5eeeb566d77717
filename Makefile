# SPDX-License-Identifier: Apache-2.0
# `make` alone lists the targets.

PYTHON ?= python3
# Debian suites whose kernels the lab runs: bookworm (Linux 6.1), bookworm-backports (6.12); and bullseye
# (5.10), with which only the tests run that are marked for it.
LAB_KERNELS ?= bookworm bookworm-backports
LAB_OLD_KERNEL ?= bullseye
# What test-lab gives to pytest: make test-lab TESTS='tests/lab/test_mac.py -k next' LAB_KERNELS=bookworm
TESTS ?=
DESTDIR ?=
BINDIR ?= /opt/cni/bin
CACHE := $(or $(SRIOV_CNI_CACHE),$(HOME)/.cache/sriov-cni)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
# Each target uses both CPUs of a small machine itself, and set-up comes before what needs it.
.NOTPARALLEL:

# What bash's `time` prints after each long step.
export TIMEFORMAT := == took %0R seconds

BUILT_FROM := $(shell find sriov_cni ipam startup -name '*.py') build.spec pyproject.toml tools/build tools/install
AGENT_BUILT_FROM := $(shell find sriov_cni sriov_node sriovctl tools/frozen -name '*.py' ! -name '*_pb2.py' ! -name '*_grpc.py') $(wildcard sriov_node/kubelet/api/*.proto) node.spec pyproject.toml tools/build tools/install $(wildcard deploy/systemd/*)
INSTALLED := $(DESTDIR)$(BINDIR)
IMAGE := release/sriov-cni-image.tar
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help manual deb packages artifacts twice protocols setup setup-demo setup-cluster setup-release setup-bench .venv build release image install uninstall lint test test-unit test-hostile test-namespaces test-torture test-lab test-pods test-cluster torture lab cluster demo bench clean clean-host

help: ## List the targets
	@sed -nE 's/^([a-z.-]+):.* ## (.*)/\1\t\2/p' Makefile | expand -t 18

setup: ## Install and fetch what `make test` needs on Debian 12 (root); nothing if all is there
	@PYTHON='$(PYTHON)' tools/setup test $(LAB_KERNELS) $(LAB_OLD_KERNEL)

setup-demo: ## Install and fetch what the demo needs instead, less than half of it (root)
	@PYTHON='$(PYTHON)' tools/setup demo $(firstword $(LAB_KERNELS))

setup-cluster: ## Build and fetch a node of Kubernetes for the lab instead, from the Go module proxy (root; minutes, once)
	@PYTHON='$(PYTHON)' tools/setup cluster

setup-release: ## Build the Python that `make release` needs instead (root; minutes, once)
	@PYTHON='$(PYTHON)' tools/setup release

setup-bench: ## Install and fetch what the benchmark needs instead, the Go plugins among it (root)
	@PYTHON='$(PYTHON)' tools/setup bench

.venv: .venv/.test ## Create the virtual environment to build and test in

.venv/.build: pyproject.toml
	@tools/check-python '$(PYTHON)'
	echo "== creating .venv from pyproject.toml (about 15 seconds)"
	rm -rf .venv
	time {
	    $(PYTHON) -m venv .venv
	    $(PIP_INSTALL) --editable '.[build]'
	}
	touch $@

.venv/.node: .venv/.build
	@echo "== installing what the agent is built from into .venv (about 10 seconds)"
	time $(PIP_INSTALL) --editable '.[node,protocols]'
	touch $@

PROTOCOLS := $(wildcard sriov_node/kubelet/api/*.proto)

GENERATED := $(PROTOCOLS:.proto=_pb2.py)

protocols: $(GENERATED) ## Make Python's side of kubelet's interfaces from the .proto files

sriov_node/kubelet/api/%_pb2.py: sriov_node/kubelet/api/%.proto | .venv/.node
	@PATH=$$PWD/.venv/bin:$$PATH python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpclib_python_out=. $<

.venv/.test: .venv/.build .venv/.node $(GENERATED)
	@echo "== installing what tests use into .venv (about 30 seconds)"
	time $(PIP_INSTALL) --editable '.[test]'
	touch $@

build: dist/.complete dist/.agent ## Build the executables for machines like this one: dist/sriov-cni.run and dist/sriov-node.run install them

dist/.complete: $(BUILT_FROM) | .venv/.build
	@echo "== building the executables with PyInstaller (10 to 40 seconds)"
	time tools/build .venv/bin/python dist
	touch $@

dist/.agent: $(AGENT_BUILT_FROM) $(GENERATED) | .venv/.build .venv/.node
	@echo "== building the agent with PyInstaller (10 to 40 seconds)"
	time tools/build .venv/bin/python dist sriov-node
	touch $@

release: release/.complete release/.agent ## Build the executables for all machines with glibc 2.27 or newer: release/sriov-cni.run and sriov-node.run

release/.complete: $(BUILT_FROM) tools/release-python | setup-release
	@echo "== building the released executables with PyInstaller (10 to 40 seconds)"
	time tools/build "$(CACHE)/release-python-$$(tools/release-python --key)/bin/python3" release
	touch $@

release/.agent: $(AGENT_BUILT_FROM) $(GENERATED) tools/release-python | setup-release
	@echo "== building the released agent with PyInstaller (10 to 40 seconds)"
	time tools/build "$(CACHE)/release-python-$$(tools/release-python --key)/bin/python3" release sriov-node
	touch $@

image: $(IMAGE) ## Make the image that installs the plugins on a cluster's nodes: release/sriov-cni-image.tar

$(IMAGE): release/.complete release/.agent tools/image.py tools/oci.py deploy/entry
	@tools/setup image
	$(PYTHON) -m tools.image '$(CACHE)/busybox' release/sriov-cni.run release/sriov-node $@

DEB := release/sriov-cni_amd64.deb
SBOM := release/sbom.json
# All files of a release are as old as the commit that they are made of.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

$(SBOM): release/.complete release/.agent tools/sbom.py
	@"$(CACHE)/release-python-$$(tools/release-python --key)/bin/python3" -m tools.sbom release >$@.new
	mv $@.new $@

deb: $(DEB) ## Make the Debian package of plugins, agent, tool and units: release/sriov-cni_amd64.deb

$(DEB): $(SBOM) tools/deb $(wildcard deploy/debian/* deploy/systemd/* conf/*)
	@tools/deb release $(SBOM) $@

packages: .venv/.test ## Make wheel and source distribution, for whoever installs with pip: release/*.whl, release/*.tar.gz
	@tools/packages .venv/bin/python release

artifacts: image deb packages ## Make everything that is released, with the digests of all of it: release/SHA256SUMS
	@cd release
	sha256sum *.run *.tar *.deb *.whl *.tar.gz sbom.json >SHA256SUMS
	cat SHA256SUMS

twice: setup-release ## Make everything that is released twice, and compare the bytes (6 minutes)
	@tools/twice

install: dist/.complete ## Install the plugins into BINDIR (/opt/cni/bin), under DESTDIR if given
	@dist/sriov-cni.run '$(INSTALLED)'

uninstall: ## Remove what install put there
	@tools/install --uninstall '$(INSTALLED)'

lint: .venv/.test ## Check style and types (ruff, mypy)
	@echo "== checking style and types (about 20 seconds)"
	time {
	    .venv/bin/ruff check --quiet .
	    .venv/bin/ruff format --quiet --check .
	    .venv/bin/mypy --no-error-summary
	}

test: setup lint test-unit test-hostile test-namespaces test-torture test-lab test-pods ## Set up the machine, then run every layer of tests (root)
	@echo "== all tests passed"

test-unit: .venv/.test ## Run the unit tests (no privileges needed)
	@echo "== unit tests"
	time .venv/bin/python -m pytest tests/unit

test-hostile: setup .venv/.test ## Feed everything read with hostile input, and fuzz it for HOSTILE seconds (root)
	@echo "== hostile input"
	time .venv/bin/python -m pytest tests/hostile

test-namespaces: setup .venv/.test build release deb ## Run the tests in network namespaces of this machine (root)
	@echo "== tests in network namespaces"
	time .venv/bin/python -m pytest tests/namespaces

test-torture: setup .venv/.test ## Kill ADD, DEL and GC at, and fail, one system call of each kind (root)
	@echo "== nothing is lost: killed and failing system calls (70 to 150 seconds)"
	time .venv/bin/python -m pytest tests/torture

LAB_TEST := .venv/bin/python -m pytest -p no:cacheprovider

test-lab: setup .venv/.test build ## Run the tests on real VFs, in a QEMU guest per kernel in LAB_KERNELS and LAB_OLD_KERNEL
	@only=()
	for kernel in $(LAB_KERNELS); do
	    echo "== tests in the lab, kernel of $$kernel (the guest boots in about 5 seconds)"
	    time tests/lab/boot -p 3 -k $$kernel $(LAB_TEST) "$${only[@]}" $(or $(TESTS),tests/lab)
	    only=(-m 'not once')
	done
	for kernel in $(if $(TESTS),,$(LAB_OLD_KERNEL)); do
	    echo "== tests of what depends on a kernel's age, kernel of $$kernel"
	    time tests/lab/boot -k $$kernel $(LAB_TEST) -m old_kernel tests/lab
	done
	$(if $(TESTS),exit 0)
	echo "== a node that boots through the units, with systemd"
	time tests/lab/boot -s tests/boot/units -p 3 -k $(firstword $(LAB_KERNELS)) $(LAB_TEST) tests/boot

manual: setup .venv/.test build ## Make docs/sriovctl.md of the help of sriovctl, and of its screens on a node in the lab
	@screens=$$(tests/lab/boot -p 3 .venv/bin/python -m tests.lab.screens)
	.venv/bin/python -m tools.manual <<<"$$screens"

# The guest's emulated cards do not work with more memory than 2816 MiB.
CLUSTER := tests/lab/boot -p 2 -m 2560 -t 600 -k bookworm-backports
CLUSTER_TEST := .venv/bin/python -m pytest -p no:cacheprovider

test-pods: setup .venv/.test image ## Run what shows most on a node of Kubernetes: pods on two SR-IOV networks (root)
	@echo "== pods on a node of Kubernetes (it is ready 1 to 2 minutes after the guest's start)"
	time $(CLUSTER) $(CLUSTER_TEST) tests/cluster/test_pods.py tests/cluster/test_takeover.py tests/cluster/test_agent_daemonset.py

test-cluster: setup-cluster .venv/.test image ## Run the tests on a node of Kubernetes, in the lab; two boots more for a loss of power (20 minutes)
	@echo "== tests on a node of Kubernetes (it is ready 1 to 2 minutes after the guest's start)"
	time $(CLUSTER) $(CLUSTER_TEST) $(or $(TESTS),tests/cluster --ignore tests/cluster/reboot)
	$(if $(TESTS),exit 0)
	echo "== the same node before and after it lost its power"
	disks=$$(mktemp -d)
	trap 'rm -rf "$$disks"' EXIT
	time {
	    $(CLUSTER) -o "$$disks" $(CLUSTER_TEST) tests/cluster/reboot/test_before.py
	    $(CLUSTER) -o "$$disks" $(CLUSTER_TEST) tests/cluster/reboot/test_after.py
	}

torture: setup .venv/.test build ## The same at every system call, long races, 10 minutes of the fuzzer (root; 45 minutes)
	@echo "== the whole sweep"
	TORTURE=all .venv/bin/python -m pytest tests/torture tests/namespaces/test_parallel.py
	HOSTILE=600 .venv/bin/python -m pytest tests/hostile/test_fuzz.py
	for kernel in $(LAB_KERNELS); do
	    echo "== killed and raced in the lab, kernel of $$kernel"
	    # -t: twenty rounds of races are one test, which prints nothing meanwhile
	    time tests/lab/boot -k $$kernel -p 4 -t 1800 env TORTURE=all RACE_ROUNDS=20 \
	        .venv/bin/python -m pytest -p no:cacheprovider tests/lab/test_killed.py tests/lab/test_races.py \
	        tests/lab/test_preparation.py tests/lab/test_preparation_killed.py tests/lab/test_hanging.py
	done

lab: setup-demo dist/.complete ## A shell in the lab's guest, which has SR-IOV cards; nothing it writes remains
	@tests/lab/boot -i -k $(firstword $(LAB_KERNELS)) bash

cluster: setup-cluster .venv/.test image ## A shell in the guest, on a node of Kubernetes with this plugin; nothing it writes remains
	@$(CLUSTER) -i tools/cluster

demo: setup-demo dist/.complete ## Two pods on VFs of two cards, in the lab: add, ping, check, delete
	@echo "== demo in the lab (30 to 60 seconds, 5 of them to boot)"
	time tests/lab/boot -k $(firstword $(LAB_KERNELS)) tools/demo

.venv/.bench: .venv/.build
	@echo "== installing matplotlib into .venv (about 20 seconds)"
	time $(PIP_INSTALL) --editable '.[bench]'
	touch $@

bench: setup-bench build release .venv/.node $(GENERATED) .venv/.bench ## Measure against the Go plugins: docs/performance.md (root, an idle machine; about 15 minutes)
	@echo "== benchmark of whole processes, in network namespaces (BENCH_ROUNDS=2: a try; BENCH_BEFORE=COMMIT: against that, too)"
	time .venv/bin/python -m bench

clean: ## Remove everything made in this directory
	@rm -rf build dist release .venv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

clean-host: ## Undo setup: its packages, its package source, its cache
	@tools/clean-host
