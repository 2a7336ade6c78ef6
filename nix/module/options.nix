# The options, and nothing that they do.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;
  cfg = config.services.flocker.node;

  # What ZFS takes in the name of one component of a dataset.
  component = "[a-zA-Z0-9][a-zA-Z0-9_.:-]*";
  datasetName = types.strMatching "${component}(/${component})*" // {
    description = "name of a ZFS dataset";
  };
  poolName = types.strMatching component // {
    description = "name of a ZFS pool";
  };
  subnet = types.strMatching "([0-9]{1,3}\\.){3}[0-9]{1,3}/[0-9]{1,2}" // {
    description = "IPv4 subnet, as 172.20.0.0/16";
  };
  address = types.strMatching "([0-9]{1,3}\\.){3}[0-9]{1,3}" // {
    description = "IPv4 address, as 203.0.113.7";
  };
  portRange = types.submodule {
    options = {
      from = mkOption {
        type = types.port;
        description = "The first port.";
      };
      to = mkOption {
        type = types.port;
        description = "The last port.";
      };
    };
  };
in
{
  options.services.flocker.node = {
    enable = mkEnableOption "this machine as a node of a Flocker cluster";

    package = mkOption {
      type = types.package;
      default = pkgs.flocker-node.override { zfs = config.boot.zfs.package; };
      defaultText = literalExpression "pkgs.flocker-node.override { zfs = config.boot.zfs.package; }";
      description = "The package that `flocker-node` is taken from.";
    };

    address = mkOption {
      type = types.nullOr address;
      default = null;
      example = "203.0.113.7";
      description = ''
        The address at which other nodes reach this machine. Set it where that is
        neither the address in the deployment nor the one that this machine itself
        has, as behind NAT. If other nodes reach SSH at another port there, set
        `settings.ssh_port`.
      '';
    };

    pool = mkOption {
      type = types.nullOr poolName;
      default = null;
      example = "tank";
      description = ''
        The ZFS pool for volumes. It must exist; at boot it is imported before
        anything of Flocker starts.
      '';
    };

    dataset = mkOption {
      type = datasetName;
      default = "${toString cfg.pool}/flocker";
      defaultText = literalExpression ''"''${config.services.flocker.node.pool}/flocker"'';
      example = "tank/applications";
      description = ''
        The dataset below which each application's volume gets a dataset of its
        own. It is made when it is first needed.
      '';
    };

    dataDirectory = mkOption {
      type = types.path;
      default = "/flocker";
      example = "/srv/flocker";
      description = "Where volumes are mounted while their applications run here.";
    };

    stateDirectory = mkOption {
      type = types.path;
      default = "/var/lib/flocker";
      description = ''
        Where the node's identity and SSH key are, and what it has to run. Volumes
        know their owner by that identity, so it must survive a reinstallation
        that keeps the pool.
      '';
    };

    containerSubnet = mkOption {
      type = types.nullOr subnet;
      default = null;
      example = "172.20.0.0/16";
      description = ''
        The addresses of containers on this node, which no other machine ever
        sees. Docker picks some that are free when this is `null`.
      '';
    };

    dockerSettings = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        storage-driver = "overlay2";
      };
      description = ''
        Settings of the Docker daemon, added to
        `virtualisation.docker.daemon.settings`.
      '';
    };

    settings = mkOption {
      type = (pkgs.formats.toml { }).type;
      default = { };
      example = {
        ssh_port = 2222;
      };
      description = ''
        What is in `/etc/flocker/node.toml`. The other options here write into
        it; what is given here wins over them.
      '';
    };

    operators = {
      keys = mkOption {
        type = types.listOf types.singleLineStr;
        default = [ ];
        example = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... alice@laptop" ];
        description = ''
          SSH public keys with which `flocker-cluster` may log in as root. Whoever
          may deploy may run any container, so this gives nothing away.
        '';
      };

      users = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "alice" ];
        description = ''
          Users of this machine who may deploy: they may run `flocker-node` as
          root without a password, which `flocker-cluster --user` makes use of.
          This is as much as being root.
        '';
      };
    };

    routablePorts = mkOption {
      type = types.nullOr (types.listOf portRange);
      default = null;
      example = [
        {
          from = 8000;
          to = 8999;
        }
      ];
      description = ''
        The ports of this machine that routes of applications may be reached at
        from other machines; all when this is `null`. Like the ports that Docker
        publishes, routes do not pass `networking.firewall.allowedTCPPorts`,
        because the kernel forwards them to a container. Links between
        applications are not affected. Needs `networking.nftables.enable`.
      '';
    };
  };
}
