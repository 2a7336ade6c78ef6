# What flake.lock must say, written down a second time: a lock file is changed by
# a tool, and a hash that it got wrong would only be noticed by somebody who
# downloads. Both are changed together, when an input is updated on purpose.
{
  nixpkgs = {
    type = "github";
    owner = "NixOS";
    repo = "nixpkgs";
    rev = "fcb8fcd6bf2d0adecae5bd491afaaaf8311b758d";
    lastModified = 1786313170;
    narHash = "sha256-9BG7OgUWdu0ONDO5X2q6+K4bsuBITkX/3W4nNJu1Ito=";
  };
}
