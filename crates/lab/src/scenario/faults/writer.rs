//! A client that writes all the time, and remembers what was acknowledged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Child;

use super::super::failure::{Failure, expect};
use super::super::site::{Site, SiteError};

/// Writes records, one after another, through the nodes by turns, each over a connection of its
/// own, and prints those that the ledger acknowledged. One that was not is never tried again: it
/// may or may not have been written. Arguments: the first number, and the nodes' addresses.
const SCRIPT: &str = r#"
number=$0
while :; do
    for address; do
        number=$((number + 1))
        answer=$(timeout 5 bash -c '
            exec 3<>"/dev/tcp/$0/7000" && printf "%s\n" "$1" >&3 && read -r line <&3 &&
                printf "%s" "$line"
        ' "$address" "record-$number" 2>/dev/null)
        [ "$answer" != "ok record-$number" ] || echo "$number"
        sleep 0.3
    done
done
"#;

/// The running client.
#[derive(Debug)]
pub(super) struct Writer {
    child: Child,
    log: PathBuf,
}

impl Writer {
    /// Begins with the record after `first`.
    pub(super) fn start(site: &Site, first: u64) -> Result<Self, Failure> {
        let directory = site.directory();
        let log = directory.join(format!("acknowledged-{first}"));
        let failed = |source| SiteError::Write {
            path: log.clone(),
            source,
        };
        fs::create_dir_all(&directory).map_err(failed)?;
        let output = File::create(&log).map_err(failed)?;
        let mut command = site.operator_command("bash");
        command.args(["-c", SCRIPT, &first.to_string()]);
        command.args(site.addresses().iter().map(ToString::to_string));
        command.stdin(Stdio::null()).stdout(output);
        let child = command.spawn().map_err(|source| SiteError::Run {
            program: "bash".to_owned(),
            source,
        })?;
        Ok(Self { child, log })
    }

    /// How many records were acknowledged so far.
    pub(super) fn count(&self) -> Result<usize, Failure> {
        Ok(self.read()?.len())
    }

    /// Ends the client and returns the numbers that were acknowledged.
    pub(super) async fn stop(mut self) -> Result<Vec<u64>, Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|source| SiteError::Run {
            program: "the writer".to_owned(),
            source,
        })?;
        self.read()
    }

    fn read(&self) -> Result<Vec<u64>, Failure> {
        let text = fs::read_to_string(&self.log).map_err(|source| SiteError::Write {
            path: self.log.clone(),
            source,
        })?;
        // The last line may be in the making.
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let numbers = complete.lines().map(|line| {
            let number = line.parse();
            number.map_err(|_| Failure::unexpected("a number", line.to_owned()))
        });
        numbers.collect()
    }
}

/// Fails unless the ledger has each acknowledged record exactly once, and in order, and none twice:
/// no client tries one again.
pub(super) fn expect_all_once_in_order(
    acknowledged: &[u64],
    ledger: &[String],
) -> Result<(), Failure> {
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, line) in ledger.iter().enumerate() {
        let number = line
            .strip_prefix("record-")
            .and_then(|text| text.parse().ok());
        let number =
            number.ok_or_else(|| Failure::unexpected("only whole records", line.clone()))?;
        places.entry(number).or_default().push(place);
    }
    let twice = places.iter().find(|(_, places)| places.len() > 1);
    if let Some((number, places)) = twice {
        let got = format!("record {number} at {places:?}");
        return Err(Failure::unexpected("no record to be there twice", got));
    }
    let none = Vec::new();
    let mut last = None;
    for number in acknowledged {
        let found = places.get(number).unwrap_or(&none);
        let [place] = found.as_slice() else {
            let got = format!(
                "{} times, in a ledger of {} lines",
                found.len(),
                ledger.len()
            );
            return Err(Failure::unexpected(
                format!("acknowledged record {number} to be there once"),
                got,
            ));
        };
        expect(
            last.is_none_or(|last| last < place),
            format!("record {number} after all that were acknowledged before"),
            format!("it is line {}", place + 1),
        )?;
        last = Some(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(numbers: &[u64]) -> Vec<String> {
        let records = numbers.iter().map(|number| format!("record-{number}"));
        records.collect()
    }

    #[test]
    fn what_was_not_acknowledged_may_be_there_or_not() {
        expect_all_once_in_order(&[1, 3], &ledger(&[1, 2, 3])).unwrap();
        expect_all_once_in_order(&[], &ledger(&[])).unwrap();
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_in_order() {
        for wrong in [&[1_u64][..], &[1, 2, 2], &[2, 1], &[1, 2, 3, 3]] {
            expect_all_once_in_order(&[1, 2], &ledger(wrong)).unwrap_err();
        }
        expect_all_once_in_order(&[1], &["record-".to_owned()]).unwrap_err();
    }
}
