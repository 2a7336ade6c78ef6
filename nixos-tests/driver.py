# What NixOS's test driver gives to the script of a test, as types: `cargo xtask
# test nix` writes it in front of each, because the driver itself comes with
# nixpkgs. Only what our scripts use.


class Machine:
    """One virtual machine."""

    def start(self, allow_reboot: bool = False) -> None:
        raise NotImplementedError

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        raise NotImplementedError

    def wait_for_unit(
        self, unit: str, user: str | None = None, timeout: int = 900
    ) -> None:
        raise NotImplementedError

    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str:
        raise NotImplementedError


operator = Machine()
node1 = Machine()
node2 = Machine()
node3 = Machine()
IMAGES = ""
