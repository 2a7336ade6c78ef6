{
  # Not nixpkgs, but enough of its shape to evaluate our flake in a second on a
  # machine without it: the functions that we call, the packages and NixOS options
  # that we name, and nothing else, so that a misspelled name is an error here,
  # too. Whether nixpkgs really has them is for an evaluation with nixpkgs to say
  # (`NIXPKGS_EVAL`). Nothing that comes out of this can be built.
  description = "As much of nixpkgs as Flocker's flake names";

  outputs = _: import ./. { };
}
