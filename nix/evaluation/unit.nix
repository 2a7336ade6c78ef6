# The service that brings everything back after a boot.
{ lib, machine }:
let
  inherit ((machine [ ]).config) services systemd;
  unit = systemd.units."flocker.service";
  guard = systemd.units."flocker.network.service";
  lines = lib.splitString "\n" unit.text;
  valuesOf =
    name:
    lib.concatMap (line: lib.splitString " " (lib.removePrefix "${name}=" line)) (
      lib.filter (lib.hasPrefix "${name}=") lines
    );
  line = text: lib.elem text lines;
  check = name: holds: {
    name = "flocker.service: ${name}";
    inherit holds;
  };

  # Each of these gives a service a mount namespace of its own.
  #
  # Source: systemd.exec(5).
  mountNamespaces = [
    "BindPaths"
    "BindReadOnlyPaths"
    "DynamicUser"
    "InaccessiblePaths"
    "NoExecPaths"
    "PrivateDevices"
    "PrivateMounts"
    "PrivateTmp"
    "ProcSubset"
    "ProtectControlGroups"
    "ProtectHome"
    "ProtectKernelLogs"
    "ProtectKernelModules"
    "ProtectKernelTunables"
    "ProtectProc"
    "ProtectSystem"
    "ReadOnlyPaths"
    "ReadWritePaths"
    "RootDirectory"
    "TemporaryFileSystem"
  ];
in
map (other: check "comes after ${other}" (lib.elem other (valuesOf "After"))) [
  "zfs-import-tank.service"
  "zfs-import.target"
  "zfs-mount.service"
  "docker.service"
  "network-online.target"
  "dbus.socket"
  "firewall.service"
  "sshd.service"
]
++ map (other: check "starts ${other}" (lib.elem other (valuesOf "Wants"))) [
  "docker.service"
  "network-online.target"
  "zfs-import-tank.service"
]
++ [
  (check "is started at boot and with Docker" (
    unit.wantedBy == [
      "multi-user.target"
      "docker.service"
    ]
  ))
  (check "restores" (line "ExecStart=${services.flocker.node.package}/bin/flocker-node restore"))
  (check "runs once" (line "Type=oneshot"))
  (check "is not active afterwards, so that Docker's next start starts it" (
    !lib.any (lib.hasPrefix "RemainAfterExit=") lines
  ))
  (check "is run again when it was killed or waits for a key" (line "Restart=on-failure"))
  (check "is not run again after any other error" (line "RestartPreventExitStatus=1 2 3 4 5 101"))
  (check "waits for a key as long as that takes" (line "StartLimitIntervalSec=0"))
  (check "is left alone by a new configuration" (line "X-RestartIfChanged=false"))
  (check "does not hang for ever" (line "TimeoutStartSec=15min"))
  (check "gains no privileges" (line "NoNewPrivileges=true"))
  (check "has only these capabilities" (
    valuesOf "CapabilityBoundingSet" == (import ../module/hardening.nix).CapabilityBoundingSet
  ))
  (check "enters only network namespaces" (line "RestrictNamespaces=net"))
  (check "mounts where Docker looks" (
    !lib.any (name: lib.any (lib.hasPrefix "${name}=") lines) mountNamespaces
  ))
  {
    name = "flocker.network.service: is started at boot, and again when it fails";
    holds =
      guard.wantedBy == [ "multi-user.target" ]
      && lib.hasInfix "ExecStart=${services.flocker.node.package}/bin/flocker-node guard-network\n" guard.text
      && lib.hasInfix "Restart=on-failure\n" guard.text;
  }
]
