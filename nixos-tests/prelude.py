# Comes before the script of every test. `IMAGES` is the directory with the
# archives of container images.


def boot(nodes) -> None:
    """Boots all machines; nodes may be restarted by what runs on them."""
    for node in nodes:
        node.start(allow_reboot=True)
    operator.start()
    for node in nodes:
        node.wait_for_unit("multi-user.target")
        node.wait_for_unit("sshd.service")
        node.succeed("zpool list tank", "docker info", "flocker-node --version")
    operator.wait_for_unit("multi-user.target")
    operator.wait_until_succeeds("ping -c 1 node1")


def load_images(node, names: list[str]) -> None:
    """Gives a node images; what it lacks, others bring along."""
    for name in names:
        node.succeed(f"docker load --quiet --input {IMAGES}/{name}.tar")


def run_scenario(name: str) -> None:
    """Runs one of flocker-lab's scenarios from the operator's machine."""
    print(operator.succeed(f"run-scenario {name} 2>&1", timeout=90 * 60))
