# The virtual hardware of a node in tests and of `nixos-rebuild build-vm`.
{
  virtualisation = {
    memorySize = 2048;
    diskSize = 8192;
    cores = 2;
    # The pool's; it becomes /dev/vdb.
    emptyDiskImages = [ 4096 ];
  };
}
