"""Makes one image layer from Debian packages and our own files."""

import fnmatch
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

import packages
from recipe import DROPPED, Layer

LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class LayerFailed(Exception):
    """A layer cannot be made from what the recipe says."""


class BuiltLayer(NamedTuple):
    """A finished layer: an uncompressed tar file and its digest."""

    name: str
    path: Path
    digest: str
    versions: dict[str, str]


def build(
    layer: Layer, available: dict[str, packages.Package], images: Path, scratch: Path
) -> BuiltLayer:
    """Builds `layer` below `scratch`; our own files come from `images/LAYER`."""
    tree: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    versions = {}
    for name in layer.packages:
        if name not in available:
            raise LayerFailed(f"layer {layer.name}: Debian has no package `{name}` (any more)")
        versions[name] = available[name].version
        for member, content in packages.files(available[name]):
            if not _dropped(member.name, layer):
                tree[member.name] = (_normal(member), content)
    _add_own_files(tree, images / layer.name)
    for link, destination in layer.links.items():
        member = tarfile.TarInfo(link)
        member.type, member.linkname = tarfile.SYMTYPE, destination
        tree[link] = (_normal(member), b"")
    for directory, mode in layer.directories.items():
        member = tarfile.TarInfo(directory)
        member.type = tarfile.DIRTYPE
        tree[directory] = (_normal(member), b"")
        member.mode = mode
    for path, (user, group) in layer.owners.items():
        if path not in tree:
            raise LayerFailed(f"layer {layer.name}: `{path}`, which has an owner, is not in it")
        tree[path][0].uid, tree[path][0].gid = user, group
    for directory in layer.compiled:
        _compile_python(tree, directory, scratch / "compile", available)
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "layer.tar"
    _write(_without_empty_directories(tree, layer), path)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return BuiltLayer(layer.name, path, f"sha256:{digest}", versions)


def check_libraries(stack: list[BuiltLayer], scratch: Path) -> None:
    """Asks the image's own loader whether every program finds its libraries."""
    if scratch.exists():
        shutil.rmtree(scratch)
    for layer in stack:
        with tarfile.open(layer.path) as archive:
            archive.extractall(scratch, filter=lambda member, _: _extractable(member))
    missing = set()
    for path in sorted(scratch.rglob("*")):
        if path.is_symlink() or not path.is_file() or not _is_dynamic(path):
            continue
        found = subprocess.run(
            [scratch / LOADER, "--library-path", scratch / LIBRARIES, "--list", path],
            capture_output=True,
            text=True,
            check=False,
        )
        for library, place in re.findall(r"(\S+) => (.+?)(?: \(|$)", found.stdout, re.MULTILINE):
            # The loader also looks into the build machine's own directories.
            if not place.startswith(str(scratch)):
                missing.add(f"{path.relative_to(scratch)} needs {library}")
    if missing:
        raise LayerFailed("libraries are missing:\n  " + "\n  ".join(sorted(missing)))


def _extractable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.isdev() else member


def _is_dynamic(path: Path) -> bool:
    with path.open("rb") as content:
        start = content.read(4096)
    return start.startswith(b"\x7fELF") and path.name != Path(LOADER).name and (
        ".so" in path.name or b"/lib64/ld-linux" in start
    )


def _dropped(name: str, layer: Layer) -> bool:
    kept = any(fnmatch.fnmatchcase(name, pattern) for pattern in layer.kept)
    patterns = (*DROPPED, *layer.dropped)
    return not kept and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Everything belongs to root, is as old as the epoch, and gives no privilege."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode &= 0o1777
    member.pax_headers = {}
    return member


def _add_own_files(tree: dict, source: Path) -> None:
    for path in sorted(source.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        member = tarfile.TarInfo(str(path.relative_to(source)))
        content = b""
        if path.is_dir():
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            if member.name in tree:
                continue
        else:
            content = path.read_bytes()
            member.size = len(content)
            # Only git's one permission bit counts, not the umask of a checkout.
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        tree[member.name] = (_normal(member), content)


def _compile_python(
    tree: dict, directory: str, scratch: Path, available: dict[str, packages.Package]
) -> None:
    """Adds compiled modules: under emulation, compiling costs many seconds.

    They are compiled by the image's own Python, which is run through its own
    loader, so that no privileges and no chroot are needed.
    """
    python_root = scratch.parent.parent / "python-root"
    if not python_root.exists():
        _unpack_python(python_root, available)
    sources = scratch / "sources"
    if scratch.exists():
        shutil.rmtree(scratch)
    for name, (member, content) in tree.items():
        if name.startswith(directory + "/") and name.endswith(".py") and member.isreg():
            path = sources / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    subprocess.run(
        [
            *(python_root / LOADER, "--library-path", python_root / LIBRARIES),
            *(python_root / "usr/bin/python3.13", "-m", "compileall", "-qq", "-j1"),
            *("--invalidation-mode=unchecked-hash", "-s", sources, "-p", "/", sources / directory),
        ],
        env={"PYTHONHOME": str(python_root / "usr"), "PYTHONHASHSEED": "0"},
        check=False,  # some templates in setuptools are no valid Python
    )
    for path in sorted(sources.rglob("*.pyc")):
        content = path.read_bytes()
        member = tarfile.TarInfo(str(path.relative_to(sources)))
        member.size, member.mode = len(content), 0o644
        tree[member.name] = (_normal(member), content)


def _unpack_python(target: Path, available: dict[str, packages.Package]) -> None:
    for name in ("libc6", "zlib1g", "libexpat1", "python3.13-minimal",
                 "libpython3.13-minimal", "libpython3.13-stdlib"):
        subprocess.run(["dpkg-deb", "--extract", available[name].path, target], check=True)


def _without_empty_directories(tree: dict, layer: Layer) -> dict:
    """Drops directories whose content was dropped, and adds missing parents."""
    needed = set(layer.directories)
    for name, (member, _) in tree.items():
        if not member.isdir() or name in needed:
            needed.update(str(parent) for parent in Path(name).parents if str(parent) != ".")
    result = {}
    for name, entry in tree.items():
        if not entry[0].isdir() or name in needed:
            result[name] = entry
    for name in needed:
        if name not in result:
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            result[name] = (_normal(member), b"")
    return result


def _write(tree: dict, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        # A hard link must come after what it names.
        for name in sorted(tree, key=lambda name: (tree[name][0].islnk(), name)):
            member, content = tree[name]
            member.name = name
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
