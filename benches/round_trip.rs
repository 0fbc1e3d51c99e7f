//! One connection, one request in flight.
fn main() {}
