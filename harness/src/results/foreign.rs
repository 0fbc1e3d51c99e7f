//! Files that are none of ours, or not as they were written: what they are, and what to do about it.

/// What a file is by how it begins, if that is something that has a name.
pub(super) fn named(beginning: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 11] = [
        (b"\x1f\x8b", "this is compressed with gzip; unpack it first: gunzip --keep FILE.gz"),
        (b"\x28\xb5\x2f\xfd", "this is compressed with zstd; unpack it first: zstd --decompress FILE.zst"),
        (b"\xfd7zXZ\0", "this is compressed with xz; unpack it first: unxz --keep FILE.xz"),
        (b"BZh", "this is compressed with bzip2; unpack it first: bunzip2 --keep FILE.bz2"),
        (b"PK\x03\x04", "this is a ZIP archive; unpack it first"),
        (b"\xff\xfe", UTF_16),
        (b"\xfe\xff", UTF_16),
        (b"{\0", UTF_16),
        (b"\0{\0", UTF_16),
        (b"version https://git-lfs", "this is a pointer of Git LFS and not the file; fetch that: git lfs pull"),
        (b"SQLite format 3", "this is a database and no results file; name another one"),
    ];
    KNOWN.iter().find(|(begins, _)| beginning.starts_with(begins)).map(|(_, what)| *what)
}

const UTF_16: &str =
    "this is UTF-16, as some programs on Windows write; save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE";

/// What a line is that is no record, if others put it there. The last one may be the beginning of a record, if it is not ended.
pub(super) fn stray(line: &[u8], is_ended: bool) -> Option<&'static str> {
    const MARKERS: [&[u8]; 4] = [b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||"];
    if MARKERS.iter().any(|marker| line.starts_with(marker)) {
        return Some(
            "a mark of an unfinished merge of git; keep one of the two files whole: git checkout --ours FILE, or --theirs",
        );
    }
    match line {
        b"{" if is_ended => Some("a record over several lines; one record is one line: jq -c . FILE makes it so again"),
        [b'[', ..] => Some("a list; one record is one line: jq -c '.[]' FILE makes it so again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_is_called_by_it() {
        let utf_16: Vec<u8> = "{\"record\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(named(&utf_16).unwrap().contains("UTF-16"));
        assert!(named(&[b"\xff\xfe", &utf_16[..]].concat()).unwrap().contains("UTF-16"));
        assert!(named(b"\x1f\x8b\x08\0").unwrap().contains("gzip"));
        for ours in [&b"{\"record\":\"run\""[..], b"", b"\0\0\0", b"\n", b"BZ"] {
            assert_eq!(named(ours), None);
        }
        for stray_line in [&b"<<<<<<< HEAD"[..], b"=======", b">>>>>>> theirs", b"[", b"[{\"record\"", b"{"] {
            assert!(stray(stray_line, true).is_some());
        }
        assert_eq!(stray(b"{\"record\":\"trial\"}", true), None);
        assert_eq!(stray(b"{", false), None, "a record that was cut off");
    }
}
