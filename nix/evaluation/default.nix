# What must be true of this flake and of machines that use its module, as far as
# evaluating can tell: nothing is built or booted. `passed` lists what was found
# true; evaluating it fails with the names of all that was not.
{
  lib,
  nixpkgs,
  pkgs,
}:
let
  machine = import ./machine.nix { inherit nixpkgs pkgs; };
  broken = import ./broken.nix;

  # Our messages about a configuration that cannot work.
  complaints =
    modules:
    map (failed: failed.message) (lib.filter (one: !one.assertion) (machine modules).config.assertions);

  rejected = lib.mapAttrsToList (
    name:
    { modules, message }:
    {
      name = "broken configuration: ${name}";
      holds = lib.any (lib.hasInfix message) (complaints modules);
    }
  ) broken.rejected;

  flake = [
    {
      name = "flake.lock says what nix/pins.nix says";
      holds =
        let
          inherit (builtins.fromJSON (builtins.readFile ../../flake.lock)) nodes;
        in
        lib.mapAttrs (_: node: node.locked) (removeAttrs nodes [ "root" ]) == import ../pins.nix;
    }
    {
      name = "docs/nixos-options.md is what `nix eval --raw .#nixos-options.text` prints";
      holds =
        builtins.readFile ../../docs/nixos-options.md
        == (import ../options-document.nix { inherit lib pkgs; }).text;
    }
    {
      name = "flocker-node knows every setting that the module gives to it";
      holds =
        let
          known = builtins.readFile ../../crates/node/src/settings.rs;
          inherit ((machine [ ]).config.services.flocker.node) settings;
        in
        lib.all (name: lib.hasInfix "pub(crate) ${name}: " known) (lib.attrNames settings);
    }
    {
      name = "the firewall exempts the ports that links use";
      holds =
        let
          inherit (import ../module/link-ports.nix) from to;
        in
        lib.hasInfix "RangeInclusive<u16> = ${toString from}..=${toString to};" (
          builtins.readFile ../../crates/plan/src/link_ports.rs
        );
    }
    {
      name = "Docker may filter by nftables if it accepts Flocker's mark";
      holds =
        complaints [
          {
            services.flocker.node.dockerSettings = {
              firewall-backend = "nftables";
              bridge-accept-fwmark = "0x2000/0x2000";
            };
          }
        ] == [ ]
        && lib.hasInfix "OWN_MARK: u32 = 0x2000;" (builtins.readFile ../../crates/net/src/ruleset/node.rs);
    }
    {
      name = "the plainest node has nothing to complain about";
      holds = complaints [ ] == [ ];
    }
  ];

  # What NixOS makes of the options takes the whole of it.
  machines = lib.concatLists [
    (import ./unit.nix { inherit lib machine; })
    (import ./settings.nix { inherit lib machine; })
    (import ./firewall.nix { inherit lib machine; })
    (import ./package.nix { inherit lib pkgs; })
  ];

  all = flake ++ rejected ++ lib.optionals (!nixpkgs.isStub or false) machines;
  failed = map (one: one.name) (lib.filter (one: !one.holds) all);
in
{
  passed =
    if failed == [ ] then
      map (one: one.name) all
    else
      throw "not true:\n  ${lib.concatStringsSep "\n  " failed}";

  # Each of these has to fail, with a message that contains what `messages` says.
  unevaluable = lib.mapAttrs (
    _: { modules, ... }: (machine modules).config.system.build.toplevel.drvPath
  ) broken.unevaluable;
  messages = lib.concatStringsSep "\n" (
    lib.mapAttrsToList (name: { message, ... }: "${name}\t${message}") broken.unevaluable
  );
}
