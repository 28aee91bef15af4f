//! NDJSON: lines.
