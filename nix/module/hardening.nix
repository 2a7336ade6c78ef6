# What the restore service may not do.
#
# Not here, on purpose: everything that gives the service a mount namespace of
# its own (ProtectSystem, ProtectHome, ProtectKernelTunables, ProtectProc,
# PrivateTmp, PrivateDevices, ReadWritePaths, …). It mounts volumes, and Docker
# would look for them in vain. Nor what closes devices (ProtectClock,
# DevicePolicy), because ZFS is spoken to through /dev/zfs, nor
# NoNewPrivileges' stricter relatives: it works as root.
#
# Source: systemd.exec(5), "Sandboxing".
{
  CapabilityBoundingSet = [
    "CAP_CHOWN"
    "CAP_DAC_OVERRIDE"
    "CAP_DAC_READ_SEARCH"
    "CAP_FOWNER"
    "CAP_KILL"
    "CAP_NET_ADMIN"
    "CAP_SYS_ADMIN"
    "CAP_SYS_PTRACE"
  ];
  KeyringMode = "private";
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  NoNewPrivileges = true;
  # Docker and systemd by sockets, nftables and links by netlink.
  RestrictAddressFamilies = [
    "AF_UNIX"
    "AF_NETLINK"
    "AF_INET"
    "AF_INET6"
  ];
  # Links are made inside the network namespaces of containers.
  RestrictNamespaces = [ "net" ];
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "@mount"
    "setns"
  ];
}
