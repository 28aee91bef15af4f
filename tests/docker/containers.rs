//! What needs a Docker engine. The gate runs these tests beside the others, and knows them by the name of this module.

mod image;
mod memory;
mod stack;
