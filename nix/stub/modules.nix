# NixOS's module system as far as we use it: options with types, defaults,
# priorities and conditions. What it says about mistakes is what NixOS says.
{ lib }:
let
  inherit (builtins)
    all
    concatLists
    concatMap
    concatStringsSep
    filter
    functionArgs
    isAttrs
    isFunction
    isList
    isPath
    isString
    map
    mapAttrs
    ;

  show = concatStringsSep ".";
  kindOf = value: if isAttrs value then value._type or "" else "";

  mkOption = settings: settings // { _type = "option"; };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = order: content: {
    _type = "order";
    inherit order content;
  };

  # Takes a condition or priority from a set to the values in it, without looking
  # at the condition: it may depend on other values of the same set.
  push =
    value:
    let
      around = wrap: concatMap (set: [ (mapAttrs (_: wrap) set) ]) (push value.content);
    in
    if kindOf value == "if" then
      around (mkIf value.condition)
    else if kindOf value == "override" then
      around (mkOverride value.priority)
    else if kindOf value == "order" then
      around (mkOrder value.order)
    else
      [ value ];

  # The values of one option that count, each with its priority and order.
  discharge =
    value:
    let
      change = set: map (one: one // set) (discharge value.content);
    in
    if kindOf value == "if" then
      if value.condition then discharge value.content else [ ]
    else if kindOf value == "override" then
      change { inherit (value) priority; }
    else if kindOf value == "order" then
      change { inherit (value) order; }
    else
      [
        {
          priority = 100;
          order = 1000;
          inherit value;
        }
      ];

  strongest =
    values:
    let
      priority = builtins.foldl' (
        least: one: if one.priority < least then one.priority else least
      ) 9999 values;
      kept = filter (one: one.priority == priority) values;
    in
    map (one: one.value) (builtins.sort (left: right: left.order < right.order) kept);

  evaluateOption =
    path: option: definitions:
    let
      values = strongest (concatMap discharge definitions);
      wrong = filter (value: !option.type.check value) values;
    in
    if values == [ ] then
      if option ? default then
        option.type.complete path option.default
      else
        throw "The option `${show path}' was accessed but has no value defined. Try setting the option."
    else if wrong != [ ] then
      throw "A definition for option `${show path}' is not of type `${option.type.description}'."
    else
      option.type.merge path values;

  evaluateSet =
    path: options: definitions:
    let
      sets = concatMap push definitions;
      names = builtins.attrNames (builtins.foldl' (seen: set: seen // set) { } sets);
      unknown = filter (name: !(options ? ${name})) names;
      value = mapAttrs (
        name: option:
        let
          below = path ++ [ name ];
          given = concatMap (set: lib.optional (set ? ${name}) set.${name}) sets;
        in
        if kindOf option == "option" then
          evaluateOption below option given
        else
          evaluateSet below option given
      ) options;
    in
    if unknown != [ ] then
      throw "The option `${show (path ++ [ (builtins.head unknown) ])}' does not exist."
    else
      value;

  evalModules =
    {
      modules,
      specialArgs ? { },
    }:
    let
      load = module: if isPath module || isString module then import module else module;
      argumentsOf = module: if isAttrs (load module) then (load module)._module.args or { } else { };
      known = builtins.foldl' (seen: module: seen // argumentsOf module) { } modules;
      arguments = specialArgs // known // { inherit config lib; };
      call =
        module:
        if isFunction module then
          module (builtins.intersectAttrs (functionArgs module) arguments)
        else
          module;
      collect =
        module:
        let
          called = call (load module);
          isLong = called ? options || called ? config;
          rest = removeAttrs called [
            "_module"
            "imports"
          ];
        in
        concatMap collect (called.imports or [ ])
        ++ [
          {
            options = called.options or { };
            config = if isLong then called.config or { } else rest;
          }
        ];
      collected = concatMap collect modules;
      options = builtins.foldl' (seen: one: lib.recursiveUpdate seen one.options) { } collected;
      config = evaluateSet [ ] options (map (one: one.config) collected);
    in
    {
      inherit config options;
    };

  # `complete` turns a default into what the option's users see.
  type = description: check: {
    inherit description check;
    merge =
      path: values:
      if all (value: value == builtins.head values) values then
        builtins.head values
      else
        throw "The option `${show path}' has conflicting definition values.";
    complete = _: value: value;
  };
  isText = value: isString value || isPath value || value ? outPath;

  types = rec {
    anything = type "anything" (_: true) // {
      merge =
        _: values:
        if all isAttrs values then builtins.foldl' lib.recursiveUpdate { } values else lib.head values;
    };
    raw = anything;
    bool = type "boolean" builtins.isBool;
    int = type "signed integer" builtins.isInt;
    port = type "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (
      value: builtins.isInt value && value >= 0 && value <= 65535
    );
    str = type "string" isString;
    lines = type "strings concatenated with \"\\n\"" isString // {
      merge = _: concatStringsSep "\n";
    };
    singleLineStr = type "(optionally newline-terminated) single-line string" (
      value: isString value && builtins.match "[^\n\r]*\n?" value != null
    );
    strMatching =
      pattern:
      type "string matching the pattern ${pattern}" (
        value: isString value && builtins.match pattern value != null
      );
    path = type "absolute path" (value: isText value && lib.hasPrefix "/" (toString value));
    package = type "package" (value: value ? drvPath);
    listOf =
      of:
      type "list of ${of.description}" (value: isList value && all of.check value)
      // {
        merge = path: values: map (value: of.merge path [ value ]) (concatLists values);
      };
    nullOr =
      of:
      type "null or ${
        if lib.hasInfix " of (" of.description then "(${of.description})" else of.description
      }" (value: value == null || of.check value)
      // {
        merge =
          path: values:
          if all (value: value == null) values then
            null
          else
            of.merge path (filter (value: value != null) values);
      };
    attrsOf =
      of:
      type "attribute set of ${of.description}" isAttrs
      // {
        merge =
          path: values:
          let
            names = builtins.attrNames (builtins.foldl' (seen: set: seen // set) { } values);
          in
          lib.genAttrs names (
            name:
            evaluateOption (path ++ [ name ]) { type = of; } (
              concatMap (set: lib.optional (set ? ${name}) set.${name}) (concatMap push values)
            )
          );
      };
    submodule =
      { options }:
      type "(submodule)" isAttrs
      // {
        merge = path: evaluateSet path options;
        complete = path: value: evaluateSet path options [ value ];
      };
  };
in
{
  inherit
    evalModules
    mkIf
    mkOption
    types
    ;
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkAfter = mkOrder 1500;
}
