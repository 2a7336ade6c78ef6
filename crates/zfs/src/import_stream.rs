//! Makes volumes of streams that people bring in.

use flocker_failpoint::reach;
use flocker_model::ApplicationName;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::command::Argv;
use crate::import::{ImportError, ImportPlace, NewImport};
use crate::kernel;
use crate::names::{Place, SnapshotName};
use crate::pump::{FeedError, feed};
use crate::stream_head::read_foreign_head;
use crate::{Change, Zfs};

impl Zfs {
    /// Makes a volume that this node owns of a full stream of one snapshot.
    ///
    /// The stream comes from its beginning: what an earlier attempt left is destroyed, since nothing
    /// can write the rest of a stream that is a file. Its snapshot gets the name of Flocker's first,
    /// and keeps its GUID.
    ///
    /// # Errors
    /// Fails before anything is changed when the stream has more than one snapshot, properties, or
    /// blocks that are encrypted with a key of their own, and when an import has made the volume
    /// meanwhile, perhaps of another stream. Fails before the volume exists when there is more after
    /// the stream.
    pub async fn import_stream<S>(
        &self,
        new: &NewImport,
        mut stream: S,
    ) -> Result<Change, ImportError>
    where
        S: AsyncRead + Unpin,
    {
        let head = read_foreign_head(&mut stream).await;
        let head = head.map_err(ImportError::Interrupted)?;
        let head = head.map_err(|problem| ImportError::Unfit { problem })?;
        let application = &new.application;
        let unfinished = Place::Importing(application.clone()).dataset(self.settings());
        match self.import_place(new).await? {
            ImportPlace::Finished => {
                let found = self.read(application).await?;
                return Err(self.stale(application, "absent".to_owned(), found).into());
            }
            ImportPlace::Whole | ImportPlace::Partial => {
                self.destroy_import(application, &unfinished).await?;
            }
            ImportPlace::Empty => {}
        }
        let snapshot = SnapshotName {
            epoch: new.epoch,
            counter: 1,
        };
        let mut argv = Argv::new(&["zfs", "receive", "-u"]);
        argv.push_options(&self.properties_of_import(new));
        argv.push(format!("{unfinished}@{snapshot}"));
        reach(|| "import-volume.begun".to_owned()).await;
        let rest = match feed(&argv, head.as_slice().chain(stream)).await {
            Ok(rest) => rest,
            Err(FeedError::Interrupted(cause)) => return Err(ImportError::Interrupted(cause)),
            Err(FeedError::Command(error)) => return Err(error.into()),
        };
        if rest.has_more().await.map_err(ImportError::Interrupted)? {
            return Err(ImportError::Unfit {
                problem: "the file has more than one stream; Flocker takes one full stream"
                    .to_owned(),
            });
        }
        reach(|| "import-volume.received".to_owned()).await;
        self.finish_import(new).await?;
        Ok(Change::Changed)
    }

    /// Destroys what an interrupted attempt received, snapshots included: no container was ever given
    /// it, and the same stream comes again.
    async fn destroy_import(
        &self,
        application: &ApplicationName,
        unfinished: &str,
    ) -> Result<(), ImportError> {
        self.unmount_dataset(application, unfinished).await?;
        let records = self.read_all(application).await?;
        let names = records
            .importing
            .map_or_else(Vec::new, |record| record.own_names(unfinished));
        if !names.is_empty() {
            kernel::release_holds(&names).await?;
        }
        Argv::new(&["zfs", "destroy", "-r", unfinished])
            .change()
            .await?;
        Ok(())
    }
}
