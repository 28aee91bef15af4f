//! Arguments, tracing, signals, exit codes; nothing else.

fn main() {}
