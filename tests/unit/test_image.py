# SPDX-License-Identifier: Apache-2.0
"""The images' archives: the same bytes each time, and what the Containerfile has as well."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from sriov_cni import __version__
from tests.image import read, unpacked
from tests.unit.executable import REPOSITORY
from tools.image import ENTRY, NAME, PATH, installing, plain
from tools.oci import Entry, Image, archive, directory, link, program

IMAGE = Image(
    (program("bin/tool", b"#!/bin/sh\n"), link("bin/sh", "tool"), directory("usr")),
    ("/bin/tool",),
    environment={"PATH": "/bin"},
)
CONTAINERFILE = (REPOSITORY / "deploy" / "Containerfile").read_text()


@pytest.fixture
def busybox(tmp_path: Path) -> str:
    """What stands for busybox and lists what it can do."""
    file = tmp_path / "busybox"
    file.write_text('#!/bin/sh\nprintf "%s\\n" busybox sh sleep\n')
    file.chmod(0o755)
    return str(file)


def test_the_same_image_gives_the_same_bytes() -> None:
    turned = IMAGE._replace(entries=IMAGE.entries[::-1])
    assert archive(IMAGE, [NAME]) == archive(turned, [NAME])


def test_every_blob_is_what_its_digest_says() -> None:
    image = read(archive(IMAGE, [NAME]))
    blobs = {path: content for path, content in image.files.items() if path.startswith("blobs/")}
    assert len(blobs) == 3
    for path, content in blobs.items():
        assert path == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    for described in (*image.named, image.manifest["config"], *image.manifest["layers"]):
        assert described["size"] == len(image.blob(described))


def test_the_configuration_names_the_layer() -> None:
    image = read(archive(IMAGE, [NAME]))
    (described,) = image.manifest["layers"]
    assert image.config["rootfs"] == {"type": "layers", "diff_ids": [described["digest"]]}
    assert image.config["config"] == {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/tool"], "Cmd": []}


def test_an_image_has_all_its_names() -> None:
    names = ["localhost/a:1", "registry.example:5000/b:2"]
    image = read(archive(IMAGE, names))
    for key in ("io.containerd.image.name", "org.opencontainers.image.ref.name"):
        assert [described["annotations"][key] for described in image.named] == names
    (loaded,) = json.loads(image.files["manifest.json"])
    assert loaded["RepoTags"] == names
    assert all(path in image.files for path in (loaded["Config"], *loaded["Layers"]))


@pytest.mark.parametrize("name", ["localhost/sriov-cni", "registry.example:5000/sriov-cni"])
def test_a_name_without_a_tag_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="has no tag"):
        archive(IMAGE, [name])


def test_directories_come_before_what_is_in_them() -> None:
    entries = (Entry("a/b/c", b"1"), Entry("a/b-d", b"2"), directory("a"))
    opened = unpacked(read(archive(Image(entries, ()), [NAME])).layer)
    assert opened.getnames() == ["a", "a/b-d", "a/b", "a/b/c"]
    assert {(m.uid, m.gid, m.mtime) for m in opened} == {(0, 0, 0)}


def test_the_plain_image_is_busybox_that_sleeps(busybox: str) -> None:
    image = read(archive(plain(busybox), ["localhost/pause:1"]))
    opened = unpacked(image.layer)
    assert opened.getmember("bin/sleep").linkname == "busybox"
    assert opened.getmember("bin/busybox").mode == 0o755
    assert image.config["config"]["Cmd"] == ["/bin/sleep", "infinity"]


def test_the_installing_image_is_the_one_of_the_containerfile(busybox: str) -> None:
    image = installing(busybox, ENTRY)
    (copied,) = re.findall(r"^COPY --chmod=0755 (.+) /$", CONTAINERFILE, re.M)
    own = {entry.path for entry in image.entries if "/" not in entry.path and entry.content}
    assert {Path(path).name for path in copied.split()} == own
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.+)$", CONTAINERFILE, re.M)
    (command,) = re.findall(r"^CMD (.+)$", CONTAINERFILE, re.M)
    assert (json.loads(entrypoint), json.loads(command)) == ([*image.entrypoint], [*image.command])
    assert re.findall(r"^ENV (.+)$", CONTAINERFILE, re.M) == [f"PATH={PATH}"]
    (made,) = re.findall(r"^RUN mkdir -p ([^&\n]+)$", CONTAINERFILE, re.M)
    assert {path.lstrip("/") for path in made.split()} <= {entry.path for entry in image.entries}


def test_the_agents_bundle_is_in_the_image_as_it_was_built(busybox: str, tmp_path: Path) -> None:
    bundle = tmp_path / "sriov-node"
    (bundle / "_internal").mkdir(parents=True)
    (bundle / "sriov-agent").write_text("program")
    (bundle / "sriov-agent").chmod(0o755)
    (bundle / "_internal" / "data").write_text("data")
    (bundle / "_internal" / "libx.so").symlink_to("data")
    image = installing(busybox, ENTRY, agent=str(bundle))
    opened = unpacked(read(archive(image, [NAME])).layer)
    assert opened.getmember("sriov-node/sriov-agent").mode == 0o755
    assert opened.getmember("sriov-node/_internal/data").mode == 0o644
    assert opened.getmember("sriov-node/_internal/libx.so").linkname == "data"
    assert "COPY release/sriov-node /sriov-node\n" in CONTAINERFILE


def test_var_run_is_run_in_the_image(busybox: str) -> None:
    opened = unpacked(read(archive(plain(busybox), [NAME])).layer)
    assert opened.getmember("var/run").linkname == "../run"
    assert "ln -s ../run /var/run" in CONTAINERFILE


@pytest.mark.parametrize("directory", ["node", "agent"])
def test_the_image_has_the_name_of_the_manifests_and_the_release(directory: str) -> None:
    named = (REPOSITORY / "deploy" / directory / "kustomization.yaml").read_text()
    (name,) = re.findall(r"newName: (\S+)", named)
    (tag,) = re.findall(r"newTag: (\S+)", named)
    assert (f"{name}:{tag}", tag) == (NAME, __version__)
