# Moves that are disturbed at every moment: processes killed, the power of either
# node cut, its pool filled. A node's cable cannot be pulled from in here.
{
  extra =
    { config, pkgs, ... }:
    {
      services.flocker.node.package = pkgs.flocker-node.override {
        zfs = config.boot.zfs.package;
        hasFailpoints = true;
      };
    };
  script = ./test.py;
}
