//! Change many of SigmaMind's phone numbers, and know what became of each.

mod args;
mod change;
mod failure;
mod files;
mod input;
mod key;
mod schema;
mod screen;

fn main(){}
