# The functions of nixpkgs' library that we call.
let
  inherit (builtins)
    foldl'
    genList
    isList
    isString
    match
    readFile
    split
    stringLength
    substring
    ;
in
rec {
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    length
    listToAttrs
    map
    mapAttrs
    replaceStrings
    ;

  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: make: listToAttrs (map (name: nameValuePair name (make name)) names);
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  mapAttrs' = make: set: listToAttrs (mapAttrsToList make set);
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set))
    );
  getAttrs = names: set: genAttrs names (name: set.${name});
  optionalAttrs = condition: set: if condition then set else { };
  recursiveUpdate =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) && !(value ? _type) then
        recursiveUpdate left.${name} value
      else
        value
    ) right;

  flatten = value: if isList value then builtins.concatMap flatten value else [ value ];
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  range = from: to: genList (number: from + number) (to - from + 1);
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];

  optionalString = condition: text: if condition then text else "";
  concatMapStrings = make: values: concatStringsSep "" (map make values);
  concatMapStringsSep =
    separator: make: values:
    concatStringsSep separator (map make values);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix = suffix: text: removeSuffix suffix text + suffix == text && hasEnd suffix text;
  hasEnd =
    end: text:
    stringLength text >= stringLength end
    && substring (stringLength text - stringLength end) (-1) text == end;
  hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text || infix == "";
  removePrefix =
    prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  removeSuffix =
    suffix: text:
    if hasEnd suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  splitString =
    separator: text: filter isString (split (replaceStrings [ "." ] [ "\\." ] separator) text);

  importTOML = path: fromTOML (readFile path);
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  makeBinPath = concatMapStringsSep ":" (package: "${package}/bin");
  licenses = {
    asl20 = "Apache-2.0";
    bsd3 = "BSD-3-Clause";
  };
  platforms = {
    linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    darwin = [ "aarch64-darwin" ];
  };

  # A path in a union must exist.
  fileset = rec {
    unions =
      files:
      map (file: if builtins.pathExists file then file else throw "${toString file} is missing") (
        flatten files
      );
    fileFilter =
      keep: directory:
      builtins.seq (keep {
        name = "name.nix";
        type = "regular";
        hasExt = extension: extension == "nix";
      }) directory;
    difference = files: without: builtins.deepSeq (map toString (unions [ without ])) files;
    toSource = { root, fileset }: builtins.deepSeq (map toString (flatten fileset)) root;
  };

  generators.toPretty =
    { multiline }:
    let
      render =
        indentation: value:
        let
          deeper = indentation + "  ";
          lines =
            open: close: texts:
            "${open}\n${concatStringsSep "\n" texts}\n${indentation}${close}";
          name = text: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" text != null then text else "\"${text}\"";
        in
        if value == [ ] then
          "[ ]"
        else if value == { } then
          "{ }"
        else if value == null then
          "null"
        else if isList value then
          lines "[" "]" (map (one: deeper + render deeper one) value)
        else if isAttrs value then
          lines "{" "}" (mapAttrsToList (key: one: "${deeper}${name key} = ${render deeper one};") value)
        else
          builtins.toJSON value;
    in
    assert multiline;
    render "";
}
