# docs/nixos-options.md, from the options themselves.
{ lib, pkgs }:
let
  evaluated = lib.evalModules {
    modules = [
      ./module/options.nix
      { _module.args = { inherit pkgs; }; }
    ];
  };

  isOption = value: value._type or "" == "option";
  isText = value: value._type or "" == "literalExpression";

  # In the order of their names.
  list =
    path: values:
    lib.concatLists (
      lib.mapAttrsToList (
        name: value:
        if isOption value then
          [ (value // { path = path ++ [ name ]; }) ]
        else
          list (path ++ [ name ]) value
      ) values
    );

  renderValue =
    value: if isText value then value.text else lib.generators.toPretty { multiline = true; } value;

  renderCode =
    title: value:
    let
      text = renderValue value;
    in
    if lib.hasInfix "\n" text then
      ''

        ${title}:

        ```nix
        ${text}
        ```
      ''
    else
      ''

        ${title}: `${text}`
      '';

  render =
    option:
    ''

      ## `${lib.concatStringsSep "." option.path}`

      ${lib.removeSuffix "\n" option.description}

      Type: ${option.type.description}
    ''
    + renderCode "Default" (option.defaultText or option.default)
    + lib.optionalString (option ? example) (renderCode "Example" option.example);
in
pkgs.writeText "nixos-options.md" (
  ''
    # Options of the NixOS module

    How the module is used is in the [README](../README.md#on-nixos). This page is
    what `nix eval --raw .#nixos-options.text` prints, made from
    `nix/module/options.nix`; `cargo xtask test nix` compares the two.
  ''
  + lib.concatMapStrings render (
    list [ "services" "flocker" "node" ] evaluated.options.services.flocker.node
  )
)
