# How routes and links get along with NixOS's own firewall.
#
# flocker-node keeps its rules in the table `ip flocker`, which nothing of NixOS
# touches. A connection to a route or a link is sent on to a container before it
# would be filtered as one to this machine, so no port has to be opened for it;
# with `filterForward`, NixOS accepts it because its destination was translated.
{ config, lib, ... }:
let
  cfg = config.services.flocker.node;

  renderRange = { from, to }: "${toString from}-${toString to}";
  allowed = lib.concatMapStringsSep ", " renderRange (
    [ (import ./link-ports.nix) ] ++ cfg.routablePorts
  );
in
{
  config = lib.mkIf (cfg.enable && cfg.routablePorts != null) {
    networking.nftables.tables.flocker-routable = {
      family = "ip";
      # The mark says that flocker-node has redirected a connection that does not
      # come from a container of this node (crates/net/src/ruleset).
      content = ''
        chain forward {
          type filter hook forward priority filter - 5; policy accept;
          iifname != "flocker0" ct state new ct mark & 0x3000 == 0x2000 meta l4proto { tcp, udp } ct original proto-dst != { ${allowed} } drop
        }
      '';
    };
  };
}
