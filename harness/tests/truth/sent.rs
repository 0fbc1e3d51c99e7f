//! The times at which requests arrive at a server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use harness::load::{self, Arrivals, LoadPlan, Pace};

use crate::{alone, ensure, needs_quiet_machine, plan};

const FRAME_BYTES: usize = 68;

type Times = Arc<Mutex<Vec<Instant>>>;

/// Echoes, and notes when each frame came.
fn noting_server() -> (SocketAddr, Times) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let times = Times::default();
    let noted = Arc::clone(&times);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, noted) = (stream.unwrap(), Arc::clone(&noted));
            thread::spawn(move || -> std::io::Result<()> {
                stream.set_nodelay(true)?;
                let mut frame = [0; FRAME_BYTES];
                // The greeting is as long as a request, and none.
                stream.read_exact(&mut frame)?;
                stream.write_all(&frame)?;
                loop {
                    stream.read_exact(&mut frame)?;
                    noted.lock().unwrap().push(Instant::now());
                    stream.write_all(&frame)?;
                }
            });
        }
    });
    (address, times)
}

/// The largest distance between the gaps and an exponential distribution of that mean: Kolmogorov and Smirnov.
fn distance_from_exponential(mut gaps_s: Vec<f64>, mean_s: f64) -> f64 {
    gaps_s.sort_unstable_by(f64::total_cmp);
    let count = gaps_s.len() as f64;
    gaps_s.iter().enumerate().fold(0.0, |largest, (rank, gap_s)| {
        let expected = 1.0 - (-gap_s / mean_s).exp();
        let (below, above) = (rank as f64 / count, (rank + 1) as f64 / count);
        largest.max(expected - below).max(above - expected)
    })
}

fn distance_of_arrivals(arrivals: Arrivals) -> f64 {
    const RATE_RPS: f64 = 250.0;
    let (target, times) = noting_server();
    let pace = Pace::Open { rate_rps: RATE_RPS, arrivals };
    let plan = LoadPlan { target, pace, duration: Duration::from_secs(3), ..plan() };
    load::run(&plan, &mut (), &AtomicBool::new(false)).unwrap();
    let mut times = times.lock().unwrap().clone();
    times.sort_unstable();
    let gaps_s: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps_s.len() > 600, "{}", gaps_s.len());
    distance_from_exponential(gaps_s, 1.0 / RATE_RPS)
}

#[test]
fn poisson_requests_arrive_as_a_poisson_process() {
    let _alone = alone();
    // Of 750 exponential gaps, one set in a thousand is as far off; the machine's own delays add a little.
    needs_quiet_machine(|| {
        let distance = distance_of_arrivals(Arrivals::Poisson);
        ensure(distance < 1.95 / 750_f64.sqrt(), || distance.to_string())
    });
    needs_quiet_machine(|| {
        let distance = distance_of_arrivals(Arrivals::Constant);
        ensure(distance > 0.3, || format!("evenly spaced requests are not told from them: {distance}"))
    });
}
