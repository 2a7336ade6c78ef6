# Configurations that cannot work, each with a part of what must be said of it.
let
  node = settings: { services.flocker.node = settings; };
in
{
  # The module itself says why.
  rejected = {
    no-pool = {
      modules = [ ({ lib, ... }: node { pool = lib.mkForce null; }) ];
      message = "`pool` must name the ZFS pool for volumes";
    };
    dataset-elsewhere = {
      modules = [ (node { dataset = "other/flocker"; }) ];
      message = "`dataset` is \"other/flocker\", which is not in the pool \"tank\"";
    };
    no-host-id = {
      modules = [ ({ lib, ... }: { networking.hostId = lib.mkForce null; }) ];
      message = "ZFS needs `networking.hostId`";
    };
    docker-disabled = {
      modules = [ { virtualisation.docker.enable = false; } ];
      message = "`virtualisation.docker.enable` must not be false";
    };
    docker-without-firewall = {
      modules = [ (node { dockerSettings.iptables = false; }) ];
      message = "`virtualisation.docker.daemon.settings.iptables` must not be false";
    };
    docker-with-nftables = {
      modules = [ (node { dockerSettings.firewall-backend = "nftables"; }) ];
      message = "Docker drops routes and links unless `virtualisation.docker.daemon.settings.bridge-accept-fwmark` is";
    };
    iptables-legacy = {
      modules = [
        ({ pkgs, ... }: { networking.firewall.package = pkgs.iptables-legacy; })
      ];
      message = "the kernel cannot have rules of iptables-legacy";
    };
    flushed-ruleset = {
      modules = [
        {
          networking.nftables.enable = true;
          networking.nftables.flushRuleset = true;
        }
      ];
      message = "`networking.nftables.flushRuleset` would remove Docker's rules";
    };
    routable-without-nftables = {
      modules = [
        (node {
          routablePorts = [
            {
              from = 80;
              to = 80;
            }
          ];
        })
      ];
      message = "`routablePorts` needs `networking.nftables.enable`";
    };
    no-ssh = {
      modules = [ { services.openssh.enable = false; } ];
      message = "`services.openssh.enable` must not be false";
    };
    sudo-for-wheel-only = {
      modules = [ { security.sudo.execWheelOnly = true; } ];
      message = "`execWheelOnly` must be off";
    };
    receiver-not-allowed = {
      modules = [ { services.openssh.settings.AllowUsers = [ "alice" ]; } ];
      message = "`services.openssh.settings.AllowUsers` must name `flocker`";
    };
    receiver-denied = {
      modules = [ { services.openssh.settings.DenyUsers = [ "flocker" ]; } ];
      message = "`services.openssh.settings.DenyUsers` must not name `flocker`";
    };
    keys-for-nobody = {
      modules = [ { services.openssh.settings.PermitRootLogin = "no"; } ];
      message = "`operators.keys` log in as root";
    };
  };

  # The types of the options do: evaluation ends with this error.
  unevaluable = {
    misspelled-option = {
      modules = [ (node { datset = "tank/flocker"; }) ];
      message = "The option `services.flocker.node.datset' does not exist";
    };
    pool-that-is-a-number = {
      modules = [ (node { pool = 5; }) ];
      message = "A definition for option `services.flocker.node.pool' is not of type `null or name of a ZFS pool'";
    };
    pool-that-is-a-path = {
      modules = [ (node { pool = "/dev/sdb"; }) ];
      message = "A definition for option `services.flocker.node.pool' is not of type `null or name of a ZFS pool'";
    };
    port-out-of-range = {
      modules = [
        { networking.nftables.enable = true; }
        (node {
          routablePorts = [
            {
              from = 8000;
              to = 80000;
            }
          ];
        })
      ];
      message = "is not of type `16 bit unsigned integer; between 0 and 65535 (both inclusive)'";
    };
    subnet-without-length = {
      modules = [ (node { containerSubnet = "172.20.0.0"; }) ];
      message = "A definition for option `services.flocker.node.containerSubnet' is not of type";
    };
  };
}
