# Makes a NixOS machine a node of a Flocker cluster.
{
  imports = [
    ./options.nix
    ./requirements.nix
    ./node.nix
    ./access.nix
    ./firewall.nix
  ];
}
