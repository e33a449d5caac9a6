//! Parses the arguments and hands over; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match najda::cli::run(najda::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("najda: {error:#}");
            ExitCode::FAILURE
        }
    }
}
