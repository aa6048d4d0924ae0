//! `config`: the settings in force, and a file to begin with.

use std::{env, fs::File, io::Write, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Status, command::ConfigAction, context::Context};
use crate::app::config::{self, Config};

/// A variable of this process, as settings ask for it.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

pub fn config(context: &Context, action: ConfigAction) -> Result<Status> {
    let output = &context.output;
    match action {
        ConfigAction::Path => {
            let path = path()?;
            if context.options.json {
                let exists = path.is_file();
                output.json(&json!({"path": path.to_string_lossy(), "exists": exists}))?;
            } else {
                output.path(path.as_os_str())?;
            }
        }
        ConfigAction::Show => {
            let (config, problems) = Config::load(&variable);
            output.lines(&config.to_toml())?;
            for problem in &problems {
                output.note(problem);
            }
            if !problems.is_empty() {
                return Ok(Status::Partly);
            }
        }
        ConfigAction::Init => {
            let path = path()?;
            let shown = path.display();
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
            }
            File::create_new(&path)
                .and_then(|mut file| file.write_all(Config::default().to_toml().as_bytes()))
                .with_context(|| format!("cannot write {shown}"))?;
            output.line(&format!("wrote {shown}"))?;
        }
    }
    Ok(Status::Done)
}

fn path() -> Result<PathBuf> {
    let folder = config::config_dir(&variable).context("HOME is not set")?;
    Ok(folder.join("config.toml"))
}
