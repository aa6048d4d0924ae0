//! `completions` and `man`, both made from the one table of arguments.

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Status, context::Context};

pub fn completions(context: &Context, shell: Shell) -> Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tagloupe", &mut script);
    context.output.raw(&script)?;
    Ok(Status::Done)
}

/// One page: the program, then each command.
pub fn man(context: &Context) -> Result<Status> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    render(&command, &mut page).context("cannot make the manual page")?;
    context.output.raw(&page)?;
    Ok(Status::Done)
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = clap_mangen::Man::new(command.clone());
    man.render(page)?;
    Ok(())
}
