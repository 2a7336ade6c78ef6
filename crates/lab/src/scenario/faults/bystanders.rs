//! What is on the nodes and none of Flocker's business: no move may touch it.

use super::super::site::{Site, SiteError};

/// Makes a container, a dataset beside ours with a snapshot, and a table of the firewall that comes
/// back at each boot.
const MAKE: &str = r"
set -e
docker run --quiet --detach --name bystander --restart always --network none \
    --entrypoint sleep flocker/writer infinity
zfs create -o atime=off tank/bystander
echo kept >/tank/bystander/file
zfs snapshot tank/bystander@theirs
cat >/etc/nftables.conf <<'END'
table ip bystander {
    chain input {
        type filter hook input priority 10
        tcp dport 9 drop
    }
}
END
systemctl --quiet enable nftables
nft --file /etc/nftables.conf
";

/// Shows them, and that they are the same ones.
const LOOK: &str = r"
docker inspect --format '{{.Name}} {{.Id}} {{.State.Running}}' bystander
zfs list -Hp -r -t all -o name,guid,written tank/bystander
cat /tank/bystander/file
nft list table ip bystander
";

/// Makes them on every node.
pub(super) async fn make(site: &Site) -> Result<(), SiteError> {
    for node in 0..site.addresses().len() {
        site.check(node, MAKE).await?;
    }
    Ok(())
}

/// Looks at them, node by node.
pub(super) async fn look(site: &Site) -> Result<Vec<String>, SiteError> {
    let mut texts = Vec::new();
    for node in 0..site.addresses().len() {
        texts.push(site.check(node, LOOK).await?);
    }
    Ok(texts)
}
