# One of Flocker's programs. Its tests are not run here but all at once, see
# checks.nix, so that a changed test rebuilds no program.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  pname,
  description,
  buildInputs ? [ ],
  nativeBuildInputs ? [ ],
  # Whether the program prints its own completions and manual page.
  hasCompletions ? false,
  supportedPlatforms ? lib.platforms.linux,
  cargoFeatures ? [ ],
}:
let
  manifest = lib.importTOML ../Cargo.toml;
  runsHere = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
rustPlatform.buildRustPackage {
  inherit pname buildInputs;
  inherit (manifest.workspace.package) version;
  src = (import ./sources.nix { inherit lib; }).program;

  # Every dependency is in Cargo.lock with its hash, so none has to be told here.
  cargoLock.lockFile = ../Cargo.lock;
  buildFeatures = cargoFeatures;
  cargoBuildFlags = [
    "--package"
    pname
  ];
  doCheck = false;
  strictDeps = true;

  nativeBuildInputs = nativeBuildInputs ++ lib.optional hasCompletions installShellFiles;
  postInstall = lib.optionalString (hasCompletions && runsHere) ''
    installShellCompletion --cmd ${pname} \
      --bash <($out/bin/${pname} completions bash) \
      --fish <($out/bin/${pname} completions fish) \
      --zsh <($out/bin/${pname} completions zsh)
    $out/bin/${pname} manual >${pname}.1
    installManPage ${pname}.1
  '';

  meta = {
    inherit description;
    homepage = manifest.workspace.package.repository;
    license = lib.licenses.asl20;
    mainProgram = pname;
    platforms = supportedPlatforms;
  };
}
