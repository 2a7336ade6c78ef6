"""Gets Debian packages with mmdebstrap and reads what is in them."""

import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class DownloadFailed(Exception):
    """mmdebstrap could not get the packages."""


class Package(NamedTuple):
    """One downloaded `.deb`."""

    name: str
    version: str
    path: Path


def download(
    suite: str, wanted: list[str], target: Path, progress: Callable[[str], None]
) -> dict[str, Package]:
    """Downloads packages and their dependencies, verified by apt, into `target`.

    The `extract` variant runs no maintainer script. The mirror is mmdebstrap's
    own choice: no host is named here.
    """
    command = [
        "mmdebstrap",
        "--variant=extract",
        "--format=null",
        f"--include={','.join(wanted)}",
        # Paths with blanks cannot be given to the hook's own command language.
        f"--extract-hook=copy-out /var/cache/apt/archives {target}",
        suite,
        "/dev/null",
    ]
    target.mkdir(parents=True)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except FileNotFoundError as error:
        raise DownloadFailed("mmdebstrap is not installed: apt-get install mmdebstrap") from error
    tail: list[str] = []
    for line in process.stdout:
        tail = [*tail, line][-15:]
        if line.startswith("I: "):
            progress(f"mmdebstrap: {line[3:].strip()}")
    if process.wait() != 0:
        raise DownloadFailed(f"`{' '.join(command)}` failed:\n{''.join(tail)}")
    found = {}
    for path in sorted(target.rglob("*.deb")):
        # apt names its files NAME_VERSION_ARCHITECTURE.deb, with `:` as %3a.
        name, version, _ = path.name.split("_")
        found[name] = Package(name, version.replace("%3a", ":"), path)
    return found


def files(package: Package) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yields the files of a package; paths begin without `./`."""
    process = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package.path)], stdout=subprocess.PIPE
    )
    with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        for member in archive:
            member.name = member.name.removeprefix("./").rstrip("/")
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            content = archive.extractfile(member).read() if member.isreg() else b""
            if member.name not in ("", "."):
                yield member, content
    if process.wait() != 0:
        raise DownloadFailed(f"{package.path.name} cannot be unpacked")
