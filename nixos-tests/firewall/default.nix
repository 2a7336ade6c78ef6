# The same on nodes with NixOS's own firewall at its strictest: nftables, nothing
# forwarded that is not allowed, and a restricted range of routable ports.
{
  extra = {
    networking.nftables.enable = true;
    networking.firewall.filterForward = true;
    services.flocker.node.routablePorts = [
      {
        from = 5000;
        to = 9999;
      }
    ];
  };
  script = ./test.py;
}
