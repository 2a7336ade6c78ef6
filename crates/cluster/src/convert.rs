//! `flocker-cluster convert`: files that people have, as files of ours.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use flocker_config::{Converted, Diagnostics, Source, convert, convert_into};

use crate::arguments::Convert;
use crate::beside::Beside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// The names of the two files.
const APPLICATION: &str = "application.yml";
const DEPLOYMENT: &str = "deployment.yml";

/// Runs the command.
pub(crate) fn run(arguments: &Convert) -> Exit {
    let printer = Printer::new(false, false);
    match try_run(arguments, &printer) {
        Ok(()) => Exit::Converged,
        Err(exit) => exit,
    }
}

fn try_run(arguments: &Convert, printer: &Printer) -> Result<(), Exit> {
    let fail = |failure: Failure| {
        printer.failure(&failure);
        failure.exit
    };
    let mut contents = Vec::new();
    for path in &arguments.files {
        let bytes = fs::read(path).map_err(|error| {
            let message = format!("cannot read {}", path.display());
            fail(Failure::new(Exit::Configuration, message).caused_by(&error))
        })?;
        contents.push((path.display().to_string(), bytes));
    }
    let sources: Vec<Source<'_>> = contents
        .iter()
        .map(|(name, bytes)| Source { name, bytes })
        .collect();
    let wrong = |diagnostics: Diagnostics| {
        printer.diagnostics(&diagnostics);
        Exit::Configuration
    };
    let mut converted = convert(&sources, &Beside).map_err(wrong)?;
    if let Some(directory) = &arguments.output {
        // Nothing is made for files that are wrong.
        make(directory).map_err(fail)?;
        let ways = ways_back(directory, &arguments.files).map_err(fail)?;
        let way_back = |name: &str| ways.get(name).cloned().unwrap_or_default();
        converted = convert_into(&sources, &Beside, &way_back).map_err(wrong)?;
    }
    if !converted.warnings.is_empty() {
        printer.narrate(converted.warnings.to_string().trim_end());
    }
    match &arguments.output {
        None => print(&converted).map_err(|error| {
            let failure = Failure::new(Exit::Internal, "cannot write to standard output");
            fail(failure.caused_by(&error))
        }),
        Some(directory) => write(&converted, directory, printer).map_err(fail),
    }
}

/// Returns the files that were made, with their names.
fn files(converted: &Converted) -> impl Iterator<Item = (&'static str, &String)> {
    let application = converted.application.iter().map(|text| (APPLICATION, text));
    let deployment = converted.deployment.iter().map(|text| (DEPLOYMENT, text));
    application.chain(deployment)
}

/// Writes the files to standard output, as documents of one stream.
fn print(converted: &Converted) -> io::Result<()> {
    let documents: Vec<String> = files(converted)
        .map(|(name, text)| format!("# {name}\n{text}"))
        .collect();
    let mut output = io::stdout().lock();
    output.write_all(documents.join("---\n").as_bytes())?;
    output.flush()
}

/// Returns the path that leads from a directory to that of each file; an empty one if it is the same.
fn ways_back(directory: &Path, files: &[PathBuf]) -> Result<BTreeMap<String, String>, Failure> {
    let real = |path: &Path| {
        fs::canonicalize(path).map_err(|error| {
            let message = format!("cannot find {}", path.display());
            Failure::new(Exit::Configuration, message).caused_by(&error)
        })
    };
    let here = real(directory)?;
    let mut ways = BTreeMap::new();
    for file in files {
        // That of a bare name is empty.
        let parent = file.parent().filter(|path| !path.as_os_str().is_empty());
        let way = relative(&here, &real(parent.unwrap_or(Path::new(".")))?);
        let way = way.into_os_string().into_string().map_err(|way| {
            let message = format!("the path {} is not UTF-8", Path::new(&way).display());
            let hint = "choose another directory for `--output`";
            Failure::new(Exit::Configuration, message).hint(hint)
        })?;
        ways.insert(file.display().to_string(), way);
    }
    Ok(ways)
}

/// Writes the path of one directory from another one; both are absolute and without links.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components());
    let common = common.take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

/// Writes the files into a directory. None that exists is replaced. They may have passwords in them, so
/// that only their owner can read them.
fn write(converted: &Converted, directory: &Path, printer: &Printer) -> Result<(), Failure> {
    let paths = || files(converted).map(|(name, text)| (directory.join(name), text));
    // One of two files would be of no use.
    if let Some((path, _)) = paths().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(exists(&path));
    }
    for (path, text) in paths() {
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => cannot("write", &path, &error),
        })?;
        file.write_all(text.as_bytes()).map_err(|error| Failure {
            exit: Exit::Internal,
            ..cannot("write", &path, &error)
        })?;
        printer.narrate(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Makes the directory, but none above it: a wrong path is not made true.
fn make(directory: &Path) -> Result<(), Failure> {
    match fs::create_dir(directory) {
        Err(_) if directory.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let failure = cannot("make", directory, &error);
            Err(failure.hint("make the directory above it first, or name another one"))
        }
        made => made.map_err(|error| cannot("make", directory, &error)),
    }
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {verb} {}", path.display());
    Failure::new(Exit::Blocked, message).caused_by(error)
}

/// Says that a file would be overwritten.
fn exists(path: &Path) -> Failure {
    let message = format!("{} exists, and is not overwritten", path.display());
    Failure::new(Exit::Blocked, message)
        .hint("name another directory after --output, or remove this file")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn files_are_written_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let compose = directory.path().join("compose.yaml");
        let env = directory.path().join(".env");
        fs::write(&compose, "services: {web: {image: \"x:${TAG}\"}}").unwrap();
        fs::write(&env, "TAG=2").unwrap();
        let output = directory.path().join("out");
        let arguments = Convert {
            files: vec![compose],
            output: Some(output.clone()),
        };
        assert_eq!(run(&arguments), Exit::Converged);
        let written = fs::read_to_string(output.join(APPLICATION)).unwrap();
        assert!(written.contains("image: x:2"), "{written}");
        assert!(!output.join(DEPLOYMENT).exists());
        let mode = fs::metadata(output.join(APPLICATION)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(run(&arguments), Exit::Blocked);
        assert_eq!(
            fs::read_to_string(output.join(APPLICATION)).unwrap(),
            written
        );
        let refusal = exists(Path::new("./application.yml")).to_string();
        insta::assert_snapshot!(refusal, @r"
        error: ./application.yml exists, and is not overwritten
          hint: name another directory after --output, or remove this file
        ");
    }

    #[test]
    fn no_directory_is_made_above_the_output() {
        let directory = tempfile::tempdir().unwrap();
        let above = directory.path().join("missing");
        let refusal = make(&above.join("out")).unwrap_err();
        assert_eq!(refusal.exit, Exit::Blocked);
        assert!(refusal.hint.is_some() && !above.exists());
    }

    #[test]
    fn nothing_is_written_when_one_of_the_files_exists() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(DEPLOYMENT), "").unwrap();
        let converted = Converted {
            application: Some("a".to_owned()),
            deployment: Some("b".to_owned()),
            ..Converted::default()
        };
        let printer = Printer::new(false, false);
        let refusal = write(&converted, directory.path(), &printer).unwrap_err();
        assert_eq!(refusal.exit, Exit::Blocked);
        assert!(!directory.path().join(APPLICATION).exists());
    }

    #[test]
    fn paths_in_another_directory_lead_to_the_same_files() {
        let directory = tempfile::tempdir().unwrap();
        let shop = directory.path().join("shop");
        fs::create_dir(&shop).unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        fs::write(shop.join("Caddyfile"), "example.com {}").unwrap();
        fs::write(shop.join("web.env"), "A=b\n").unwrap();
        let compose = shop.join("compose.yaml");
        let text = "services: {web: {image: caddy, restart: always, env_file: web.env, volumes: \
                    ['./Caddyfile:/etc/caddy/Caddyfile:ro']}}";
        fs::write(&compose, text).unwrap();
        for (output, way) in [("out/deep", "../../shop"), ("shop/out", "..")] {
            let output = directory.path().join(output);
            let arguments = Convert {
                files: vec![compose.clone()],
                output: Some(output.clone()),
            };
            assert_eq!(run(&arguments), Exit::Converged);
            let written = fs::read_to_string(output.join(APPLICATION)).unwrap();
            assert!(written.contains(&format!("{way}/Caddyfile")), "{written}");
            assert!(written.contains(&format!("{way}/web.env")), "{written}");
            assert!(output.join(way).join("web.env").exists());
        }
        assert_eq!(
            relative(Path::new("/a/b"), Path::new("/a/b")),
            Path::new("")
        );
    }
}
