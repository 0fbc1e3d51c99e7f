//! `harness serve`: its two lines, and its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::support::{PATIENCE, serve};

/// A frame with a payload of three bytes.
const FRAME: &[u8] = b"\0\0\0\x03abc";

fn echoed(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(FRAME).unwrap();
    let mut answer = vec![0; FRAME.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}

#[test]
fn a_signal_ends_it_with_a_report() {
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let served = serve(&["--backend", "epoll"], directory.path());
        assert_eq!(served.first_line["backend"], "epoll");
        assert!(served.first_line["receipt"]["kernel"].is_string(), "{}", served.first_line);
        assert_eq!(echoed(&mut TcpStream::connect(served.address).unwrap()), FRAME);
        served.process.signal(signal);
        let report = served.process.next_json();
        assert_eq!((&report["accepted"], &report["requests"]), (&1.into(), &1.into()));
        assert!(report["syscalls"]["accept4"].as_u64().unwrap() >= 1, "{report}");
        assert_eq!(report["accepted_per_thread"], serde_json::json!([1]));
        let ended = served.process.end();
        assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    // An answer that nobody takes and no socket holds gives the server something to drain.
    let mut connection = TcpStream::connect(served.address).unwrap();
    connection.write_all(&(16_u32 << 20).to_be_bytes()).unwrap();
    connection.write_all(&vec![0; 16 << 20]).unwrap();
    // Two different ones: the kernel would merge two of a kind.
    served.process.signal(Signal::SIGINT);
    served.process.signal(Signal::SIGTERM);
    let ended = served.process.end();
    assert!(ended.status.signal().is_some(), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn under_control_it_reports_when_asked_and_ends_with_its_input() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = serve(&["--backend", "poll", "--control"], directory.path());
    served.process.say("report\n");
    let first = served.process.next_json();
    assert_eq!(first["requests"], 0);
    assert_eq!(echoed(&mut TcpStream::connect(served.address).unwrap()), FRAME);
    served.process.say("report\n");
    let second = served.process.next_json();
    assert_eq!(second["requests"], 1);
    for count in ["at_ns", "voluntary_switches", "involuntary_switches"] {
        assert!(second[count].as_u64() >= first[count].as_u64() && first[count].is_u64(), "{count}: {first} {second}");
    }
    assert!(second["at_ns"].as_u64() > first["at_ns"].as_u64());
    served.process.close_stdin();
    let ended = served.process.end();
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
}

#[test]
fn without_control_the_end_of_its_input_means_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = serve(&["--backend", "poll", "--listen", "[::1]:0"], directory.path());
    served.process.close_stdin();
    assert_eq!(echoed(&mut TcpStream::connect(served.address).unwrap()), FRAME);
    served.process.signal(Signal::SIGTERM);
    assert_eq!(served.process.end().code(), Some(0));
}

#[test]
fn the_frame_limit_and_the_protocol_are_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let limited = serve(&["--backend", "epoll", "--max-frame", "2"], directory.path());
    let mut stream = TcpStream::connect(limited.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(FRAME).unwrap();
    // Closed or reset, but not answered.
    assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
    limited.process.signal(Signal::SIGTERM);
    assert_eq!(limited.process.next_json()["violations"], 1);

    let raw = serve(&["--backend", "epoll", "--protocol", "raw"], directory.path());
    let mut stream = TcpStream::connect(raw.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"x").unwrap();
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"x");
}
