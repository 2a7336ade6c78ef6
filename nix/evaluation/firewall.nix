# NixOS's firewall stays what it is, in both of its kinds.
{ lib, machine }:
let
  strict = [
    {
      networking.nftables.enable = true;
      networking.firewall.filterForward = true;
      services.flocker.node.routablePorts = [
        {
          from = 8000;
          to = 8999;
        }
      ];
    }
  ];
  withModule = (machine strict).config;
  without =
    (machine (
      strict
      ++ [
        (
          { lib, ... }:
          {
            services.flocker.node.enable = lib.mkForce false;
            # As on a node; whoever has no node may still have Docker and SSH.
            virtualisation.docker.enable = true;
            services.openssh.enable = true;
          }
        )
      ]
    )).config;
  tables = config: config.networking.nftables.tables;
  plain = (machine [ ]).config;
  check = name: holds: {
    name = "firewall: ${name}";
    inherit holds;
  };
in
[
  (check "NixOS's own table is the same with a node as without" (
    (tables withModule).nixos-fw.content == (tables without).nixos-fw.content
  ))
  (check "NixOS lets pass what was redirected" (
    lib.hasInfix "ct status dnat accept" (tables withModule).nixos-fw.content
  ))
  (check "the range of routable ports is kept, links apart" (
    let
      kept = "ct original proto-dst != { 24000-28999, 8000-8999 } drop";
      protocols = "meta l4proto { tcp, udp }";
    in
    lib.hasInfix "${protocols} ${kept}" (tables withModule).flocker-routable.content
  ))
  (check "there is no table of ours unless a range is given" (!(tables plain ? flocker-routable)))
  (check "a reload does not flush what flocker-node and Docker wrote" (
    !withModule.networking.nftables.flushRuleset
  ))
  (check "no port but SSH's is opened" (
    plain.networking.firewall.allowedTCPPorts == plain.services.openssh.ports
  ))
]
