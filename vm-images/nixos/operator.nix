# The operator's machine of a test: `run-scenario NAME` runs one of flocker-lab's
# scenarios on the nodes.
{
  lib,
  nodes,
  pkgs,
  ...
}:
let
  sshKeys = import (pkgs.path + "/nixos/tests/ssh-keys.nix") pkgs;
  isNode = node: node.services.flocker.node.enable or false;
  addresses = lib.mapAttrsToList (_: node: node.networking.primaryIPAddress) (
    lib.filterAttrs (_: isNode) nodes
  );
  key = "/etc/flocker-test/key";
in
{
  environment.etc."flocker-test/key" = {
    source = sshKeys.snakeOilEd25519PrivateKey;
    # SSH takes no key that others can read.
    mode = "0600";
  };

  environment.systemPackages = [
    pkgs.flocker-cluster
    pkgs.flocker-lab
    pkgs.curl
    pkgs.postgresql_17
    (pkgs.writeShellApplication {
      name = "run-scenario";
      text = ''
        exec flocker-lab scenario "$@" \
          ${lib.concatMapStringsSep " " (address: "--node ${address}") addresses} \
          --key ${key} --images ${pkgs.flocker-container-images} \
          --cluster-program ${lib.getExe pkgs.flocker-cluster}
      '';
    })
  ];

  virtualisation.memorySize = 1024;
  system.stateVersion = "26.05";
}
