//! Nodes of the lab that run NixOS: their image is built by Nix, where there is one.

use std::error::Error;

use crate::process::{Program, program_exists};
use crate::workspace;

/// The word for it on the command line.
const NIXOS: &str = "nixos";

/// Builds the image if the arguments ask for `--image nixos`, and puts its directory in the place
/// of that word.
///
/// # Errors
///
/// When this machine has no Nix, or Nix cannot build it.
pub(crate) fn resolve(arguments: &[String]) -> Result<Vec<String>, Box<dyn Error>> {
    let Some(asked) = find(arguments) else {
        return Ok(arguments.to_vec());
    };
    if !program_exists("nix") {
        return Err(
            "`--image nixos` builds the image with Nix, which is not installed here".into(),
        );
    }
    let installable = format!("{}#lab-image", workspace::root().display());
    let built = Program::new("nix")
        .args(["--extra-experimental-features", "nix-command flakes"])
        .args(["build", "--no-link", "--print-out-paths", &installable])
        .read()?;
    Ok(replace(arguments, &asked, built.trim()))
}

/// Which argument asks for it, as it is written.
fn find(arguments: &[String]) -> Option<String> {
    let joined = format!("--image={NIXOS}");
    let follows = arguments
        .windows(2)
        .any(|pair| matches!(pair, [option, value] if option == "--image" && value == NIXOS));
    if follows {
        return Some(NIXOS.to_owned());
    }
    arguments.contains(&joined).then_some(joined)
}

fn replace(arguments: &[String], asked: &str, directory: &str) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| {
            if argument == asked {
                argument.replace(NIXOS, directory)
            } else {
                argument.clone()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{find, replace};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_directory_takes_the_place_of_the_word() {
        for (given, expected) in [
            ("up --image nixos --nodes 3", "up --image /store --nodes 3"),
            ("up --image=nixos", "up --image=/store"),
        ] {
            let given = words(given);
            let asked = find(&given).unwrap();
            assert_eq!(replace(&given, &asked, "/store"), words(expected));
        }
    }

    #[test]
    fn other_arguments_are_left_alone() {
        for given in [
            "up --image /some/where",
            "ssh node1 echo nixos",
            "up --name nixos",
        ] {
            assert_eq!(find(&words(given)), None);
        }
    }
}
