//! `evenkeel run` as its users see it: a program that is called and ends.

mod bad_input;
mod endings;
mod environment;
mod files;
mod inputs;
mod kept;
mod reading;
mod resume;
