//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == sapa::servers::guard::ARGUMENT) {
        return sapa::servers::guard::run(args);
    }
    ExitCode::SUCCESS
}
