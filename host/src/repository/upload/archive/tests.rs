//! Archives as programs make them, and as no program should.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::model::Stage;
use crate::repository::upload::gzip::GzipReader;

/// The files of an archive, in memory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files(Vec<(String, Vec<u8>)>);

/// More bytes than a file of these tests may have.
const TOO_LARGE: u64 = 1 << 20;

impl FileSink for Files {
    fn begin(&mut self, name: &str, size: u64) -> Result<(), UploadError> {
        if size >= TOO_LARGE {
            return Err(UploadError::TooLarge { limit: TOO_LARGE, allowed_by: "the test" });
        }
        self.0.push((name.into(), Vec::new()));
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        self.0.last_mut().unwrap().1.extend(piece);
        Ok(())
    }

    fn end(&mut self) -> Result<(), UploadError> {
        Ok(())
    }
}

fn read(archive: &[u8], piece: usize) -> Result<Files, UploadError> {
    let mut reader = ArchiveReader::new(Files::default());
    archive.chunks(piece.max(1)).try_for_each(|piece| reader.write(piece))?;
    reader.finish()
}

fn unpack(archive: &[u8]) -> Result<Files, UploadError> {
    let mut reader = GzipReader::new(Files::default());
    archive.chunks(100).try_for_each(|piece| reader.write(piece))?;
    reader.finish()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// A header with a path that the crate would refuse to write.
fn header(path: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

/// An entry with its content, filled to whole blocks.
fn entry(path: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(path, kind, content.len() as u64).as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 2 * BLOCK]].concat()
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(path.as_bytes(), EntryType::Regular, content)
}

/// A record of an extended header.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while format!("{length}{rest}").len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

#[track_caller]
fn refused(archive: &[u8]) -> String {
    let Err(UploadError::Invalid(fault)) = read(archive, 100) else {
        panic!("it was accepted, or refused otherwise")
    };
    assert_eq!(fault.stage, Stage::Validate);
    fault.reason
}

#[test]
fn archives_of_the_usual_programs_are_read() {
    let mut builder = Builder::new(Vec::new());
    let mut folder = Header::new_gnu();
    folder.set_entry_type(EntryType::Directory);
    folder.set_size(0);
    builder.append_data(&mut folder, "./", &[][..]).unwrap();
    let long = format!("{}.bin", "w".repeat(120));
    for (name, content) in
        [("./model.wasm", &b"component"[..]), (&long, &[7; 1500]), ("empty", b"")]
    {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content).unwrap();
    }
    let made = builder.into_inner().unwrap();

    let files = Files(vec![
        ("model.wasm".into(), b"component".to_vec()),
        (long, vec![7; 1500]),
        ("empty".into(), Vec::new()),
    ]);
    for piece in [1, 511, 512, 513, 1 << 20] {
        assert_eq!(read(&made, piece).unwrap(), files, "{piece}");
    }
    assert_eq!(unpack(&gzip(&made)).unwrap(), files);
}

#[test]
fn extended_headers_name_the_next_file_only() {
    let pax = |records: &[Vec<u8>]| entry(b"pax", EntryType::XHeader, &records.concat());
    let path = pax(&[record("mtime", "1.5"), record("path", "weights.bin")]);
    let made = archive(&[path, file("short", b"w"), file("model.wasm", b"m")]);
    let files =
        Files(vec![("weights.bin".into(), b"w".to_vec()), ("model.wasm".into(), b"m".to_vec())]);
    assert_eq!(read(&made, 7).unwrap(), files);

    let global = entry(b"pax", EntryType::XGlobalHeader, &record("comment", "x"));
    assert_eq!(read(&archive(&[global, file("a", b"")]), 512).unwrap().0.len(), 1);

    for (records, says) in [
        (vec![record("size", "1")], "'size' is not accepted"),
        (vec![record("GNU.sparse.major", "1")], "'GNU.sparse.major' is not accepted"),
        (vec![record("linkpath", "x")], "'linkpath' is not accepted"),
        (vec![record("path", "a"), record("path", "b")], "malformed"),
        (vec![b"9 a=b\n".to_vec()], "malformed"),
        (vec![b"x".to_vec()], "malformed"),
        (vec![record("path", "../x")], "leads out"),
    ] {
        let refused = refused(&archive(&[pax(&records), file("a", b"")]));
        assert!(refused.contains(says), "{refused}");
    }
    let refused = refused(&archive(&[pax(&[record("path", "a")])]));
    assert!(refused.contains("truncated"), "{refused}");
}

#[test]
fn hostile_names_and_kinds_are_refused() {
    let cases: [(&[u8], EntryType, &str); 21] = [
        (b"../x", EntryType::Regular, "leads out of the version's folder"),
        (b"a/../../x", EntryType::Regular, "leads out"),
        (b"/etc/passwd", EntryType::Regular, "leads out"),
        (b".//etc/passwd", EntryType::Regular, "leads out"),
        (b"..", EntryType::Regular, "leads out"),
        (b"1/model.wasm", EntryType::Regular, "without folders"),
        (b"sub", EntryType::Directory, "without folders"),
        (b"../", EntryType::Directory, "without folders"),
        (b"x", EntryType::Symlink, "a symbolic link"),
        (b"x", EntryType::Link, "a hard link"),
        (b"x", EntryType::GNULongLink, "a hard link"),
        (b"x", EntryType::Char, "a device"),
        (b"x", EntryType::Block, "a device"),
        (b"x", EntryType::Fifo, "a FIFO"),
        (b"x", EntryType::GNUSparse, "a sparse file"),
        (b"x", EntryType::new(b'?'), "of an unknown kind"),
        (b"a\nb", EntryType::Regular, "printable"),
        (b"\xff", EntryType::Regular, "printable"),
        (b"", EntryType::Regular, "printable"),
        (b".hidden", EntryType::Regular, "hidden"),
        (b"config.toml", EntryType::Regular, "live configuration"),
    ];
    for (path, kind, says) in cases {
        let refused = refused(&archive(&[header(path, kind, 0).as_bytes().to_vec()]));
        assert!(refused.contains(says), "{refused}");
        assert!(!refused.contains(char::is_control), "{refused:?}");
    }
}

#[test]
fn bounds_hold_before_content_arrives() {
    let many: Vec<_> = (0..=MAX_FILES).map(|number| file(&number.to_string(), b"")).collect();
    assert!(refused(&archive(&many)).contains("more than 67 files"));

    let folders = vec![entry(b"./", EntryType::Directory, b""); MAX_ENTRIES + 1];
    assert!(refused(&archive(&folders)).contains("more than 268 entries"));

    let twice = [file("a", b"1"), file("./a", b"2")];
    assert!(refused(&archive(&twice)).contains("twice"));

    // The content is never sent.
    let large = header(b"a", EntryType::Regular, TOO_LARGE).as_bytes().to_vec();
    assert!(matches!(read(&large, 512), Err(UploadError::TooLarge { .. })));
    for kind in [EntryType::GNULongName, EntryType::XHeader, EntryType::XGlobalHeader] {
        let long = header(b"a", kind, 1 << 40).as_bytes().to_vec();
        assert!(refused(&long).contains("16384 bytes"));
    }
    let mut huge = Header::new_gnu();
    huge.set_size(u64::MAX);
    huge.as_mut_bytes()[0] = b'a';
    huge.set_cksum();
    assert!(matches!(read(huge.as_bytes(), 512), Err(UploadError::TooLarge { .. })));
}

#[test]
fn incomplete_and_overlong_archives_are_refused() {
    let whole = archive(&[file("model.wasm", &[1; 700])]);
    for length in [0, 100, 512, 900, 1212, 1300, 1536, 1600, 2048, whole.len() - 1] {
        assert!(refused(&whole[..length]).contains("truncated"), "{length}");
    }
    assert!(refused(&[&whole[..], b"x"].concat()).contains("bytes follow the end"));
    let padded = [whole.clone(), vec![0; MAX_END as usize]].concat();
    assert!(refused(&padded).contains("more than 1048576 bytes"));
    assert!(refused(&archive(&[])).contains("empty"));

    let mut changed = whole.clone();
    changed[0] = b'M';
    assert!(refused(&changed).contains("wrong checksum"));
    assert!(refused(&[b'x'; 512]).contains("no known format"));
}

#[test]
fn faulty_gzip_data_is_refused() {
    let whole = gzip(&archive(&[file("model.wasm", &[1; 700])]));
    let refused = |content: &[u8]| match unpack(content) {
        Err(UploadError::Invalid(fault)) => fault.reason,
        _ => panic!("it was accepted, or refused otherwise"),
    };
    assert!(refused(&whole[..whole.len() - 9]).contains("gzip"));
    assert!(refused(&whole[..whole.len() - 1]).contains("gzip"));
    assert!(refused(&[&whole[..], b"x"].concat()).contains("one gzip stream"));
    assert!(refused(&[&whole[..], &whole[..]].concat()).contains("one gzip stream"));
    assert!(refused(&gzip(b"hello")).contains("truncated"));
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    assert!(refused(&damaged).contains("gzip"));

    // A bomb ends at the first bound that it passes, not when it is unpacked.
    let bomb = gzip(&archive(&[file("a", b""), vec![0; 64 << 20]]));
    assert!(refused(&bomb).contains("more than 1048576 bytes"));
}

proptest! {
    #[test]
    fn a_piece_ends_anywhere(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 1..5),
        piece in 1..2000usize,
    ) {
        let named = contents.into_iter().enumerate().map(|(index, content)| (format!("f{index}"), content));
        let files: Vec<_> = named.collect();
        let made: Vec<_> = files.iter().map(|(name, content)| file(name, content)).collect();
        prop_assert_eq!(read(&archive(&made), piece).unwrap(), Files(files));
    }

    #[test]
    fn changed_archives_keep_the_promises(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        mend in any::<bool>(),
    ) {
        let pax = entry(b"pax", EntryType::XHeader, &record("path", "weights.bin"));
        let long = entry(b"long", EntryType::GNULongName, b"golden.json\0");
        let mut made = archive(&[file("model.wasm", b"m"), pax, file("w", b"w"), long, file("g", b"{}")]);
        for (index, byte) in changes {
            let index = index.index(made.len());
            made[index] = byte;
        }
        if mend {
            mend_checksums(&mut made);
        }
        check_promises(&made);
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        check_promises(&bytes);
        let _ = unpack(&bytes);
    }
}

/// Writes the right checksum into every block that may be a header.
fn mend_checksums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        let mut header = Header::from_byte_slice(block).clone();
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
    }
}

/// Checks that every accepted name is one plain name, and none comes twice.
fn check_promises(archive: &[u8]) {
    let Ok(Files(files)) = read(archive, 64) else { return };
    let names: BTreeSet<_> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), files.len());
    for name in names {
        assert!(!name.is_empty() && name.len() <= 128 && !name.starts_with('.'), "{name:?}");
        assert!(!name.contains(['/', '\0']) && !name.contains(char::is_control), "{name:?}");
    }
}
