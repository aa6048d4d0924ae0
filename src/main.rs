//! The program: arguments in, exit code out. Everything else is in the library.

use std::{env, path::Path, process, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use tagloupe::{
    app::{
        App, LibraryInfo,
        config::{self, Config, ViewState},
        dialog::Dialog,
        keymap::Keymap,
        runtime::Runtime,
    },
    cli::{
        self, Cli, Next, ScreenRequest, Status, Surroundings, log,
        output::{Output, counted},
        settings::variable,
    },
    engine::{
        Engine, Library, decode,
        event::{self, Level},
        job::{self, Cancel},
    },
    model::text::display_text,
    tui::{self, Ending, Opened, Opener, Start},
};
use tokio::signal::unix::{SignalKind, signal};

/// How long a command that was asked to stop may take to finish what it has in hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives memory back at rest. With that of glibc, the catalogs and pictures that a
/// busy hour leaves behind can keep ten times what the program holds.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::parse(env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let surroundings = Surroundings {
        cancel: Cancel::default(),
        describe_terminal: |graphics| match describe_terminal(graphics) {
            Ok(report) => Ok(report),
            Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
        },
    };
    decode::quiet_decoders();
    if !opens_screen(&cli) {
        watch_signals(&surroundings.cancel);
    }
    let status = match cli::run(cli, &surroundings) {
        Next::Exit(status) => status,
        Next::OpenScreen(request) => {
            let output = Output::standard();
            match open_screen(&request, &output) {
                Ok(status) => status,
                Err(error) => {
                    output.note(&format!("tagloupe: {error:#}"));
                    Status::Failed
                }
            }
        }
    };
    ExitCode::from(status.code())
}

/// What the terminal can do, and what follows from that with these settings.
fn describe_terminal(
    graphics: Option<config::Graphics>,
) -> Result<Vec<(&'static str, String)>, tui::terminal::TerminalError> {
    // What is wrong with the settings, another part of the report says.
    let (config, _) = Config::load(&variable);
    let graphics = graphics.unwrap_or_else(|| config.graphics_here(&variable));
    tui::describe(graphics, config.tmux_depth)
}

/// Opens a library on the screen and returns when the session has ended.
fn open_screen(request: &ScreenRequest, output: &Output) -> Result<Status> {
    let (mut config, mut problems) = Config::load(&variable);
    config.graphics = request
        .graphics
        .unwrap_or_else(|| config.graphics_here(&variable));
    if let Some(theme) = &request.theme {
        config.theme.clone_from(theme);
    }
    let keymap = match config::read_keymap(&variable) {
        Ok(None) => Keymap::default(),
        Ok(Some(text)) => {
            let (keymap, mistakes) = Keymap::with_user(&text);
            problems.extend(
                mistakes
                    .into_iter()
                    .map(|text| format!("keymap.toml: {text}")),
            );
            keymap
        }
        Err(error) => {
            problems.push(error);
            Keymap::default()
        }
    };
    if let Some(folder) = request.log.clone().or_else(log::folder)
        && let Err(error) = log::start(&folder, request.verbose)
    {
        problems.push(format!("{error:#}"));
    }
    let (app, start) = match &request.offer {
        None => {
            let opened = open(&request.root, &config, problems, false)?;
            let mut app = App::new(opened.library, config, keymap);
            app.restore(&opened.view);
            (app, Start::Library(Box::new(opened.runtime)))
        }
        Some(offer) => {
            let mut app = App::new(LibraryInfo::default(), config.clone(), keymap);
            app.ask(Dialog::create(offer.what.clone(), offer.kind));
            let root = request.root.clone();
            let opener: Opener = Box::new(move |kind| {
                cli::create_library(&root, kind)
                    .and_then(|()| open(&root, &config, problems, true))
                    .map_err(|error| format!("{error:#}"))
            });
            (app, Start::Folder(opener))
        }
    };
    let options = tui::Options {
        themes: config::config_dir(&variable).map(|folder| folder.join("themes")),
        no_mouse: false,
        clock: job::system_clock,
    };
    let ended = tui::run(app, start, &options)?;
    if ended.by == Ending::Declined {
        bail!("no library was opened");
    }
    if ended.by == Ending::Terminated {
        // The terminal may be gone, and whoever ended us does not read.
        return Ok(Status::Interrupted);
    }
    if ended.unsaved > 0 {
        let pictures = counted(ended.unsaved, "picture", "pictures");
        output.note(&format!(
            "the edits of {pictures} are not saved yet; the next start brings them back"
        ));
    }
    if !ended.is_complete {
        output.note("something was still being done; the next start goes on with it");
    }
    if let Some(farewell) = &request.farewell {
        output.line(farewell)?;
        output.flush()?;
    }
    Ok(Status::Done)
}

/// Opens a library for the screen. One that was `just_made` gets its index unasked:
/// who makes a library wants to use it.
fn open(root: &Path, config: &Config, problems: Vec<String>, just_made: bool) -> Result<Opened> {
    let library = Library::open(root)?;
    let root = library.root().to_owned();
    let (events, receiver) = event::channel();
    let mut settings = cli::engine_settings(config);
    if just_made {
        settings.index_unasked = u64::MAX;
    }
    let engine =
        Engine::start(library, settings, events.clone()).context("cannot start the engine")?;
    let engine = Arc::new(engine);
    for problem in problems {
        events.notice(Level::Warning, problem);
    }
    engine.start_catalog();
    engine.start_sources();
    let inbox = config
        .ingest
        .folder
        .clone()
        .unwrap_or_else(|| engine.inbox());
    let show = |text: &str| display_text(text).into_owned();
    let library = LibraryInfo {
        name: show(engine.library_name()),
        root: show(&root.to_string_lossy()),
        ingest_folder: Some(show(&inbox.to_string_lossy())),
        folder: root.clone(),
    };
    let has_files = Engine::has_files_now(&inbox);
    engine.watch(Some(inbox));
    let view_path = config::view_path(&variable, &root);
    let mut view = view_path
        .as_deref()
        .map_or_else(ViewState::default, ViewState::load);
    if has_files {
        // Files are about to be filed: that is worth watching.
        view.monitor = Some(true);
    }
    let runtime = Runtime::start(engine, receiver, view_path)?;
    Ok(Opened {
        library,
        runtime,
        view,
    })
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
