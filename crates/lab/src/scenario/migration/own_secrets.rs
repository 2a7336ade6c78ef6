//! A node has the secrets of the applications that it runs, and of no others.

use super::super::failure::{Failure, expect};
use super::super::report::Stopped;
use super::Migration;
use super::official::{Applications, Place};
use super::secrets::{SEARCHED, to_the_end};

/// In the environment of [`KEEPER`], and in nothing else.
const PASSWORD: &str = "only-where-it-runs";
/// In a file of [`KEEPER`], and in nothing else.
const KEY: &str = "a-key-that-stays-there";

/// Where programs leave things. Volumes are the applications' own affair.
pub(super) const PLACES: &str = "/run /etc /var /tmp /home /boot /opt /root /usr/local";

/// An application with a volume, and with secrets that no other application has.
fn keeper() -> String {
    format!(
        "keeper:\n  image: flocker/redis\n  volume: /data\n  environment: {{PASSWORD: {PASSWORD}}}\n  \
         files:\n    - {{content: {KEY}, target: /etc/keeper/key, uid: \"65534\", mode: 0444}}\n"
    )
}

/// Where containerd keeps what containers are made of, their environments included. It does not
/// overwrite what it no longer needs at once, and Flocker cannot make it. Contents of `files` are
/// never there. docs/operations.md says so.
const CONTAINERD: &str = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";

impl Migration<'_> {
    /// Searched on each node, in every file, after a first deploy and after a move there and back.
    pub(super) async fn own_secrets(&mut self) -> Result<(), Stopped> {
        let text = keeper();
        let applications = Applications {
            name: "keeper",
            text: &text,
            names: &["keeper"],
        };
        let layout = applications.on(Place::First, self.layouts);
        let line = format!("Deployed `keeper` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        self.check("an application with secrets of its own is deployed", deploy)
            .await?;
        let name = "its node alone has them";
        self.check(name, self.expect_only_on(Place::First)).await?;
        for place in [Place::Second, Place::First] {
            let layout = applications.on(place, self.layouts);
            let line = self.moved_line("keeper", place);
            let deploy = self.deploy_with_line(&layout, &[], &line);
            self.check("it moves", deploy).await?;
            let name = "its new node alone has them";
            self.check(name, self.expect_only_on(place)).await?;
        }
        Ok(())
    }

    /// The file is as it was asked for, and neither secret is in any file of the other node.
    async fn expect_only_on(&self, place: Place) -> Result<(), Failure> {
        let read = "stat -c \"%u %a\" /etc/keeper/key && cat /etc/keeper/key";
        let file = self.inside(place, "keeper", read).await?;
        expect(
            file.trim_end() == format!("65534 444\n{KEY}"),
            "the file with its owner, mode and contents",
            file,
        )?;
        let (here, there) = match place {
            Place::First => (Place::First, Place::Second),
            Place::Second => (Place::Second, Place::First),
        };
        for secret in [PASSWORD, KEY] {
            let found = self.files_with(here, secret).await?;
            expect(
                found.contains("/var/lib/flocker/applications/keeper.json"),
                "the application's record among the files",
                found,
            )?;
            let found = self.files_with(there, secret).await?;
            let is_leftover = |file: &str| secret == PASSWORD && file == CONTAINERD;
            let mut left = found.lines().filter(|file| !is_leftover(file));
            let is_searched = left.next() == Some(SEARCHED) && left.next().is_none();
            expect(is_searched, "nothing on the other node", found)?;
        }
        Ok(())
    }

    /// Lists the files of a node that have `secret` in them. Searched as root.
    async fn files_with(&self, place: Place, secret: &str) -> Result<String, Failure> {
        let (rest, last) = secret.split_at(secret.len() - 1);
        let search = format!(
            "grep --recursive --files-with-matches --devices=skip '{rest}[{last}]' {PLACES} \
             2>/dev/null"
        );
        let output = self.site.run(place.node(), &to_the_end(&search)).await?;
        Ok(output.stdout)
    }
}
