//! An archive of `docker save`: images that are in it, or why it is none.

#![no_main]

use flocker_fuzz::file;
use image_archive::read_manifest;
use libfuzzer_sys::fuzz_target;

// A part of a program, which has no library to take it from.
#[path = "../../cluster/src/image_archive.rs"]
mod image_archive;

fuzz_target!(|input: &[u8]| {
    let path = file("images.tar", input);
    match read_manifest(&path) {
        Ok(entries) => {
            for entry in entries {
                let tags = entry.repo_tags.unwrap_or_default();
                let length = entry.config.len() + tags.iter().map(String::len).sum::<usize>();
                assert!(length <= input.len(), "more than there is");
            }
        }
        Err(error) => assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        ),
    }
});
