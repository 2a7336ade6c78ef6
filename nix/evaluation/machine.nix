# Evaluates a machine with the module: what its user wrote, and beside that only
# what every machine needs.
{ nixpkgs, self }:
system: modules:
nixpkgs.lib.nixosSystem {
  modules = [
    self.nixosModules.default
    ./plain.nix
    { nixpkgs.hostPlatform = system; }
  ]
  ++ modules;
}
