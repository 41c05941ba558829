//! The `evenkeel` program as a library: what it understands, what it reads, what it does and what it prints.

pub mod cli;
pub mod client;
pub mod command;
pub mod input;
pub mod output;
