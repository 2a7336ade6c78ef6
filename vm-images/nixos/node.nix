# A node as tests, `nixos-rebuild build-vm` and the lab have it: the module with
# nothing but what a user would write, on a machine with one empty disk.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  services.flocker.node = {
    enable = true;
    pool = "tank";
  };

  # A real machine gets its own once; here it only has to differ between nodes.
  networking.hostId = lib.mkDefault (
    builtins.substring 0 8 (builtins.hashString "sha256" config.networking.hostName)
  );
  # What nobody listens on is to say so at once, as it does on Debian, where
  # there is no firewall.
  networking.firewall.rejectPackets = true;

  boot.zfs.forceImportRoot = false;
  boot.zfs.devNodes = "/dev";

  # The first boot finds an empty disk. Later ones import the pool as a user's
  # machine does, because then this has nothing to do.
  systemd.services.make-pool = {
    description = "Make the pool for volumes on the empty disk";
    requiredBy = [ "zfs-import-tank.service" ];
    before = [ "zfs-import-tank.service" ];
    after = [
      "systemd-modules-load.service"
      "systemd-udev-settle.service"
    ];
    wants = [ "systemd-udev-settle.service" ];
    unitConfig.DefaultDependencies = false;
    path = [
      config.boot.zfs.package
      pkgs.util-linux
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    script = ''
      if [ -z "$(blkid --probe --output value --match-tag TYPE /dev/vdb || true)" ]; then
        zpool create tank /dev/vdb
      fi
    '';
  };

  # What scenarios look at nodes with.
  environment.systemPackages = [
    pkgs.conntrack-tools
    pkgs.jq
    pkgs.nftables
  ];

  system.stateVersion = "26.05";
}
