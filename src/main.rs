//! The program: arguments in, exit code out. Everything else is in the library.

use std::{env, process, process::ExitCode, time::Duration};

use tagloupe::{
    cli::{self, Cli, Next, Status, Surroundings},
    engine::job::{self, Cancel},
};
use tokio::signal::unix::{SignalKind, signal};

/// How long a command that was asked to stop may take to finish what it has in hand.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = match cli::parse(env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let surroundings = Surroundings {
        cancel: Cancel::default(),
        describe_terminal: |_| Ok(Vec::new()),
    };
    if !opens_screen(&cli) {
        watch_signals(&surroundings.cancel);
    }
    match cli::run(cli, &surroundings) {
        Next::Exit(status) => ExitCode::from(status.code()),
        Next::OpenScreen(_) => ExitCode::from(2),
    }
}

/// Whether the screen takes over, which has its own way with signals.
fn opens_screen(cli: &Cli) -> bool {
    matches!(cli.command, None | Some(cli::Command::Demo(_)))
}

/// Turns the first Ctrl-C, hangup or request to end into a flag that commands look
/// at; the second one, or a command that does not listen, ends the program.
fn watch_signals(cancel: &Cancel) {
    let cancel = cancel.clone();
    let watching = job::spawn("signals", move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            tracing::warn!("cannot watch for signals: Ctrl-C ends the program at once");
            return;
        };
        runtime.block_on(async {
            next_signal().await;
            cancel.cancel();
            tokio::select! {
                () = next_signal() => {}
                () = tokio::time::sleep(PATIENCE) => {}
            }
            process::exit(i32::from(Status::Interrupted.code()));
        });
    });
    if let Err(error) = watching {
        tracing::warn!("cannot watch for signals: {error}");
    }
}

/// Waits for a signal that asks to end. Where none can be watched, waits for ever.
async fn next_signal() {
    let streams = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = streams else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
