//! Having systemd read units again, where it has read them before.
//!
//! A reload reads every unit of the machine and runs every generator, which takes a good part of a
//! second, and more on a busy machine: too much for the time for which an application is stopped. Of
//! a unit that systemd has not loaded it reads the file whenever it is asked for.
//!
//! **Source**: `org.freedesktop.systemd1(5)`, `NeedDaemonReload`; `systemd.unit(5)` on garbage
//! collection.

use zbus_systemd::systemd1::UnitProxy;
use zbus_systemd::zbus::proxy::CacheProperties;

use crate::units::{UnitError, Units, failed, is_missing};

impl Units {
    /// Has systemd read its units again, if it goes by an older text of one of these.
    pub(crate) async fn reload_stale(&self, units: &[String]) -> Result<(), UnitError> {
        for unit in units {
            if self.is_stale(unit).await? {
                return self.reload().await;
            }
        }
        Ok(())
    }

    /// Tells whether systemd has a unit loaded from a file that was changed or removed since.
    async fn is_stale(&self, unit: &str) -> Result<bool, UnitError> {
        let asked = |error| failed(format!("describe {unit}"), error);
        let path = match self.manager().await?.get_unit(unit.to_owned()).await {
            Ok(path) => path,
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(asked(error)),
        };
        let proxy = UnitProxy::builder(self.connection())
            .path(path)
            // All of them are many, and one is asked for.
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(asked)?;
        match proxy.need_daemon_reload().await {
            Ok(is_stale) => Ok(is_stale),
            // Forgotten meanwhile.
            Err(_) if self.is_unknown(unit).await? => Ok(false),
            Err(error) => Err(asked(error)),
        }
    }

    async fn is_unknown(&self, unit: &str) -> Result<bool, UnitError> {
        match self.manager().await?.get_unit(unit.to_owned()).await {
            Ok(_) => Ok(false),
            Err(error) if is_missing(&error) => Ok(true),
            Err(error) => Err(failed(format!("describe {unit}"), error)),
        }
    }

    async fn reload(&self) -> Result<(), UnitError> {
        let reloaded = self.manager().await?.reload().await;
        reloaded.map_err(|error| failed("read its units again", error))
    }
}
