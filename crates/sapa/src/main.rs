//! The program: the guard of servers, or one command to its end.

use std::process::ExitCode;

use clap::Parser;
use sapa::cli::Cli;
use sapa::exit::{Exit, Failure};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == sapa::servers::guard::ARGUMENT) {
        return sapa::servers::guard::run(args);
    }
    sapa::say::choose(sapa::say::early(std::env::args().skip(1), |name| std::env::var(name).ok()));
    let cli = Cli::parse();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::internal)
        .and_then(|runtime| {
            let ended = runtime.block_on(sapa::commands::run(cli));
            // Whoever still reads a file or a terminal is not waited for.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Done && !failure.what.is_empty() {
                eprintln!("{}: {failure}", sapa::output::error_word());
            }
            failure.exit.into()
        }
    }
}
