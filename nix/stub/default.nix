_:
let
  lib = import ./lib.nix // {
    inherit (import ./modules.nix { inherit lib; })
      evalModules
      literalExpression
      mkAfter
      mkDefault
      mkEnableOption
      mkForce
      mkIf
      mkOption
      types
      ;
    nixosSystem = import ./nixos/system.nix { inherit lib legacyPackages; };
  };

  legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
    system: import ./packages.nix { inherit lib system; }
  );
in
{
  inherit legacyPackages lib;
  isStub = true;
}
