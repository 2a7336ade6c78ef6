# The README's node.
{ lib, ... }:
{
  services.flocker.node = {
    enable = lib.mkDefault true;
    pool = lib.mkDefault "tank";
    operators.keys = lib.mkDefault [ "ssh-ed25519 AAAA alice@laptop" ];
  };
  networking.hostId = lib.mkDefault "8425e349";

  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "/dev/vda";
    fsType = "ext4";
  };
  system.stateVersion = "26.05";
}
