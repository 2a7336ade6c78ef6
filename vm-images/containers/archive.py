"""Writes images as archives that `docker load` (and OCI tools) accept.

Source: the OCI image specification 1.1 (image layout, manifest, config), and
the `manifest.json` that `docker save` adds to it for older versions of Docker.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from layers import BuiltLayer
from recipe import Image

# Nothing in an image may depend on when it was built.
EPOCH = "1970-01-01T00:00:00Z"


def write(image: Image, stack: list[BuiltLayer], target: Path) -> str:
    """Writes one image to `target`; returns its identity, `sha256:…`."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": _configuration(image),
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in stack]},
        "history": [
            {"created": EPOCH, "created_by": f"layer {layer.name}"} for layer in stack
        ],
    }
    blobs: dict[str, bytes] = {}
    config_blob = _add(blobs, config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config_blob, blobs),
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer.digest,
                "size": layer.path.stat().st_size,
            }
            for layer in stack
        ],
    }
    manifest_blob = _add(blobs, manifest)
    index_entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest_blob, blobs)
    index_entry["annotations"] = {
        "io.containerd.image.name": f"docker.io/{image.reference}",
        "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
    }
    index = {"schemaVersion": 2, "manifests": [index_entry]}
    docker = [
        {
            "Config": _path(config_blob),
            "RepoTags": [image.reference],
            "Layers": [_path(layer.digest) for layer in stack],
        }
    ]

    unfinished = target.with_suffix(".tar.part")
    with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as archive:
        _add_bytes(archive, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(archive, "index.json", _encode(index))
        _add_bytes(archive, "manifest.json", _encode(docker))
        for digest in (config_blob, manifest_blob):
            _add_bytes(archive, _path(digest), blobs[digest])
        for layer in stack:
            member = tarfile.TarInfo(_path(layer.digest))
            member.size = layer.path.stat().st_size
            with layer.path.open("rb") as content:
                archive.addfile(member, content)
    unfinished.replace(target)
    return config_blob


def _configuration(image: Image) -> dict:
    """What Docker runs, and how. Keys without a value are left out, as `docker build` does.

    `Healthcheck` is Docker's own key; its times are nanoseconds.
    """
    configuration = {
        "User": image.user,
        "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
        "Entrypoint": image.entrypoint,
        "ExposedPorts": {f"{port}/tcp": {} for port in image.ports},
        "WorkingDir": image.working_directory,
    }
    if image.command:
        configuration["Cmd"] = image.command
    if image.volumes:
        configuration["Volumes"] = {path: {} for path in image.volumes}
    if image.stop_signal:
        configuration["StopSignal"] = image.stop_signal
    if image.health_check:
        second = 1_000_000_000
        configuration["Healthcheck"] = {
            "Test": ["CMD-SHELL", image.health_check.command],
            "Interval": image.health_check.interval * second,
            "Timeout": image.health_check.timeout * second,
            "StartPeriod": image.health_check.start_period * second,
            "Retries": image.health_check.retries,
        }
    return configuration


def _encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(blobs: dict[str, bytes], value: object) -> str:
    content = _encode(value)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blobs[digest] = content
    return digest


def _descriptor(media_type: str, digest: str, blobs: dict[str, bytes]) -> dict:
    return {"mediaType": media_type, "digest": digest, "size": len(blobs[digest])}


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
