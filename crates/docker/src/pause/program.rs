//! A static ELF executable that waits for ever.
//!
//! **Source**: `elf(5)`; System V ABI, "Program Header"; `ppoll(2)`, `syscall(2)`.

use thiserror::Error;

/// A kind of machine that the program does not exist for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("containers' networks cannot be held on {0} machines; only x86_64 and aarch64 are known")]
pub struct UnsupportedArchitecture(String);

/// `ppoll(NULL, 0, NULL, NULL)`, again and again: without descriptors and timeout it returns only
/// for a signal handler, of which there is none. The kernel hands a program cleared registers, but
/// each is set all the same after the first round.
const CODE_X86_64: &[u8] = &[
    0x31, 0xff, // xor edi, edi
    0x31, 0xf6, // xor esi, esi
    0x31, 0xd2, // xor edx, edx
    0x45, 0x31, 0xd2, // xor r10d, r10d
    0x45, 0x31, 0xc0, // xor r8d, r8d
    0xb8, 0x0f, 0x01, 0x00, 0x00, // mov eax, 271 (ppoll)
    0x0f, 0x05, // syscall
    0xeb, 0xeb, // jmp back to the start
];

/// The same for aarch64, one instruction in four bytes, little-endian.
const CODE_AARCH64: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0x01, 0x00, 0x80, 0xd2, // mov x1, #0
    0x02, 0x00, 0x80, 0xd2, // mov x2, #0
    0x03, 0x00, 0x80, 0xd2, // mov x3, #0
    0x04, 0x00, 0x80, 0xd2, // mov x4, #0
    0x28, 0x09, 0x80, 0xd2, // mov x8, #73 (ppoll)
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0xf9, 0xff, 0xff, 0x17, // b back to the start
];

/// `e_machine` of x86-64.
const EM_X86_64: u16 = 62;
/// `e_machine` of aarch64.
const EM_AARCH64: u16 = 183;
/// Bytes of the ELF header.
const HEADER_SIZE: u16 = 64;
/// Bytes of one program header.
const PROGRAM_HEADER_SIZE: u16 = 56;
/// Where the file is mapped: the usual address of static executables.
const BASE: u64 = 0x40_0000;
/// Alignment of the mapping, enough for every page size of both machines.
const ALIGNMENT: u64 = 0x1_0000;

/// Writes the executable for `architecture`, as [`std::env::consts::ARCH`] names it.
pub(super) fn render_program(architecture: &str) -> Result<Vec<u8>, UnsupportedArchitecture> {
    match architecture {
        "x86_64" => Ok(render_elf(EM_X86_64, CODE_X86_64)),
        "aarch64" => Ok(render_elf(EM_AARCH64, CODE_AARCH64)),
        _ => Err(UnsupportedArchitecture(architecture.to_owned())),
    }
}

/// Wraps `code` into an executable with one segment that holds the whole file.
fn render_elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let headers = u64::from(HEADER_SIZE) + u64::from(PROGRAM_HEADER_SIZE);
    let size = headers + code.len() as u64;
    let mut file = Vec::new();
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());

    // Magic, 64 bits, little-endian, version 1, System V ABI, padding.
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    half(&mut file, 2); // e_type: executable
    half(&mut file, machine);
    word(&mut file, 1); // e_version
    long(&mut file, BASE + headers); // e_entry
    long(&mut file, HEADER_SIZE.into()); // e_phoff
    long(&mut file, 0); // e_shoff: no sections
    word(&mut file, 0); // e_flags
    half(&mut file, HEADER_SIZE);
    half(&mut file, PROGRAM_HEADER_SIZE);
    half(&mut file, 1); // e_phnum
    half(&mut file, 0); // e_shentsize
    half(&mut file, 0); // e_shnum
    half(&mut file, 0); // e_shstrndx

    word(&mut file, 1); // p_type: load
    word(&mut file, 5); // p_flags: read, execute
    long(&mut file, 0); // p_offset
    long(&mut file, BASE); // p_vaddr
    long(&mut file, BASE); // p_paddr
    long(&mut file, size); // p_filesz
    long(&mut file, size); // p_memsz
    long(&mut file, ALIGNMENT);

    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn the_jumps_lead_back_to_the_first_instruction() {
        let displacement = CODE_X86_64[CODE_X86_64.len() - 1].cast_signed();
        assert_eq!(-isize::from(displacement), CODE_X86_64.len().cast_signed());
        // Offset in instructions, counted from the jump itself, in 26 bits.
        assert_eq!(CODE_AARCH64.len() / 4 - 1, 7);
        assert_eq!(
            CODE_AARCH64[28..],
            (0x1400_0000u32 | (0x03ff_ffff - 6)).to_le_bytes()
        );
    }

    #[test]
    fn other_machines_are_refused() {
        assert!(render_program("mips").is_err());
        assert_eq!(render_program("aarch64").unwrap().len(), 152);
    }

    #[test]
    fn the_program_sleeps_until_it_is_killed() {
        let program = render_program(std::env::consts::ARCH).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pause");
        std::fs::write(&path, program).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A shell runs it: `exec` in this process could meet the file still open for writing in a
        // child that another test is starting (ETXTBSY).
        let mut child = Command::new("sh")
            .args(["-c", "echo started; exec \"$0\""])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stat = format!("/proc/{}/syscall", child.id());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // The kernel tells which system call a sleeping process is in, by number.
        let number = if cfg!(target_arch = "x86_64") {
            "271 "
        } else {
            "73 "
        };
        while !std::fs::read_to_string(&stat).unwrap().starts_with(number) {
            assert!(std::time::Instant::now() < deadline, "it never slept");
            assert_eq!(child.try_wait().unwrap(), None, "it ended");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
