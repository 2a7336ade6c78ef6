# The options of NixOS that we set or read.
{
  lib,
  legacyPackages ? { },
}:
{
  modules,
  specialArgs ? { },
}:
let
  inherit (lib) mkOption types;

  set =
    type: default:
    mkOption {
      inherit type default;
    };
  bool = set types.bool false;
  list = set (types.listOf types.anything) [ ];
  text = set types.lines "";
  some = set types.anything { };
  required = mkOption { type = types.anything; };

  service = types.submodule {
    options = {
      description = set types.str "";
      documentation = list;
      environment = some;
      after = list;
      before = list;
      wants = list;
      wantedBy = list;
      requires = list;
      requiredBy = list;
      restartIfChanged = bool;
      startLimitIntervalSec = set types.int 10;
      path = list;
      script = text;
      serviceConfig = some;
      unitConfig = some;
    };
  };
  user = types.submodule {
    options = {
      isSystemUser = bool;
      group = set types.str "";
      description = set types.str "";
      home = set types.path "/";
      createHome = bool;
      shell = set types.path "/bin/sh";
      openssh.authorizedKeys.keys = set (types.listOf types.str) [ ];
    };
  };

  options = {
    assertions = list;
    boot = {
      blacklistedKernelModules = list;
      initrd.availableKernelModules = list;
      kernelModules = list;
      kernelParams = list;
      loader.grub.enable = bool;
      supportedFilesystems = set (types.attrsOf types.bool) { };
      zfs = {
        devNodes = set types.path "/dev";
        extraPools = set (types.listOf types.str) [ ];
        forceImportRoot = bool;
        package = required;
      };
    };
    environment = {
      etc = set (types.attrsOf types.anything) { };
      systemPackages = set (types.listOf types.package) [ ];
    };
    fileSystems = set (types.attrsOf types.anything) { };
    networking = {
      firewall = {
        enable = set types.bool true;
        filterForward = bool;
        package = required;
        rejectPackets = bool;
      };
      hostId = set (types.nullOr types.str) null;
      hostName = set types.str "nixos";
      nftables = {
        enable = bool;
        flushRuleset = bool;
        tables = some;
      };
      primaryIPAddress = set types.str "192.168.1.1";
      useDHCP = bool;
      usePredictableInterfaceNames = bool;
    };
    nixpkgs = {
      hostPlatform = set types.str "";
      overlays = list;
      pkgs = mkOption {
        type = types.anything;
        default = legacyPackages.${config.nixpkgs.hostPlatform};
      };
    };
    security = {
      sudo = {
        enable = set types.bool true;
        execWheelOnly = bool;
        extraConfig = text;
        extraRules = list;
      };
      wrapperDir = set types.path "/run/wrappers/bin";
    };
    services.openssh = {
      enable = bool;
      extraConfig = text;
      hostKeys = set (types.listOf types.anything) [ { path = "/etc/ssh/ssh_host_ed25519_key"; } ];
      ports = set (types.listOf types.port) [ 22 ];
      settings = {
        AllowUsers = set (types.nullOr (types.listOf types.str)) null;
        DenyUsers = set (types.nullOr (types.listOf types.str)) null;
        PermitRootLogin = set types.str "prohibit-password";
      };
    };
    system = {
      boot.loader = {
        initrdFile = set types.str "initrd";
        kernelFile = set types.str "bzImage";
      };
      build = some;
      stateVersion = set types.str "";
    };
    systemd = {
      services = set (types.attrsOf service) { };
      tmpfiles.settings = some;
    };
    users = {
      groups = some;
      users = set (types.attrsOf user) { };
    };
    virtualisation = {
      cores = set types.int 1;
      diskSize = set types.int 1024;
      docker = {
        daemon.settings = some;
        enable = bool;
        enableOnBoot = bool;
      };
      emptyDiskImages = list;
      memorySize = set types.int 1024;
      vmVariant = some;
    };
  };

  evaluated = lib.evalModules {
    inherit specialArgs;
    modules = modules ++ [
      { inherit options; }
      {
        _module.args = {
          inherit pkgs;
          modulesPath = ./modules;
        };
        boot.zfs.package = lib.mkDefault pkgs.zfs;
        networking.firewall.package = lib.mkDefault pkgs.iptables;
        system.build = {
          kernel = pkgs.writeText "kernel" "";
          initialRamdisk = pkgs.writeText "initial-ram-disk" "";
          # All that was said about the machine has to evaluate.
          toplevel = pkgs.writeText "system" (
            builtins.toJSON [
              forced
              failed
            ]
          );
        };
      }
    ];
  };
  inherit (evaluated) config;
  pkgs = builtins.foldl' (
    packages: overlay: packages.extend overlay
  ) config.nixpkgs.pkgs config.nixpkgs.overlays;

  forced = {
    inherit (config)
      boot
      environment
      fileSystems
      networking
      security
      services
      systemd
      users
      virtualisation
      ;
  };
  failed =
    let
      messages = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
    in
    if messages == [ ] then
      [ ]
    else
      throw "Failed assertions:\n- ${lib.concatStringsSep "\n- " messages}";
in
evaluated
