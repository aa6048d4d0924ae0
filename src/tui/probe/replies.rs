//! The questions to a terminal and its answers. Each is taken for what it says and
//! for no more: nonsense changes nothing.

use std::{process::Command, thread, time::Duration};

use super::Environment;

/// How often a tmux that does not know its terminal yet is asked again.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// What tmux says about itself and the terminal around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tmux {
    pub passes_through: bool,
    /// The outer terminal's own name and version, such as `kitty(0.41.1)`.
    pub outer: String,
}

/// Asks tmux by its own command. Changes no option of it: whether commands pass
/// through is the user's choice.
///
/// A tmux that starts with the program has not heard the name of the terminal around it
/// yet: it is asked a few times. Blocks for a third of a second at most.
pub fn ask_tmux() -> Option<Tmux> {
    let mut tmux = ask_tmux_once()?;
    for _ in 0..ATTEMPTS {
        if !tmux.passes_through || !tmux.outer.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
        tmux = ask_tmux_once()?;
    }
    Some(tmux)
}

fn ask_tmux_once() -> Option<Tmux> {
    let output = Command::new("tmux")
        .args(["display", "-p", "#{allow-passthrough} #{client_termtype}"])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(Tmux::read(&String::from_utf8_lossy(&output.stdout)))
}

impl Tmux {
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim_end();
        let (passes, outer) = text.split_once(' ').unwrap_or((text, ""));
        Self {
            // As a format the option is the number of its choice.
            passes_through: matches!(passes, "on" | "all" | "1" | "2"),
            outer: outer.to_owned(),
        }
    }
}

/// The questions, the one that everybody answers last.
pub fn questions(environment: &Environment, tmux: Option<&Tmux>) -> String {
    // The kernel's console knows only the last one and prints parts of others.
    if environment.term == "linux" {
        return "\x1b[c".to_owned();
    }
    // Status last: by its answer all before it have been answered.
    let kitty = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[5n";
    let kitty = match tmux {
        _ if environment.in_screen => String::new(),
        Some(tmux) if tmux.passes_through => {
            let bytes = through_tmux(kitty.as_bytes().to_vec(), environment.tmux_depth);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ if environment.in_tmux => String::new(),
        _ => kitty.to_owned(),
    };
    // Name, cell and window size, background, keyboard protocol; whether a color
    // set as 24 bits is read back as such; device attributes.
    format!(
        "{kitty}\x1b[>q\x1b[16t\x1b[14t\x1b]11;?\x1b\\\x1b[?u\
         \x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c"
    )
}

/// A sequence that tmux hands to the terminal around it, so many times: every escape
/// in it is doubled, also that of the terminator inside.
pub fn through_tmux(command: Vec<u8>, depth: u8) -> Vec<u8> {
    (0..depth).fold(command, |command, _| {
        let mut bytes = b"\x1bPtmux;".to_vec();
        for byte in command {
            if byte == 0x1b {
                bytes.push(0x1b);
            }
            bytes.push(byte);
        }
        bytes.extend_from_slice(b"\x1b\\");
        bytes
    })
}

/// What the terminal answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// XTVERSION, such as `kitty(0.41.1)` or `foot(1.13.1)`.
    pub version: Option<String>,
    /// The kitty graphics query was answered with OK.
    pub kitty: bool,
    pub sixel: bool,
    pub cell: Option<(u16, u16)>,
    pub window: Option<(u16, u16)>,
    pub background: Option<(u8, u8, u8)>,
    pub keyboard: bool,
    pub truecolor: bool,
    /// It says that it lives when it is asked: the outer terminal, inside tmux.
    pub status: bool,
    /// The last question was answered.
    pub is_complete: bool,
    pub tmux: Option<Tmux>,
}

impl Replies {
    /// Takes an answer as it came; one to something else means nothing.
    pub fn hear(&mut self, sequence: &[u8]) {
        let text = String::from_utf8_lossy(sequence);
        let string = |start: &str| {
            let body = text.strip_prefix(start)?;
            body.strip_suffix("\x1b\\")
                .or_else(|| body.strip_suffix('\x07'))
        };
        if let Some(body) = string("\x1b_G") {
            self.kitty |= body.contains("i=31") && body.ends_with(";OK");
        } else if let Some(body) = string("\x1bP>|") {
            self.version = Some(body.chars().filter(|c| !c.is_control()).take(80).collect());
        } else if let Some(body) = string("\x1bP1$r") {
            self.truecolor |= ["2:1:2:3", "2::1:2:3", "2;1;2;3"]
                .iter()
                .any(|color| body.contains(color));
        } else if let Some(body) = string("\x1b]11;") {
            self.background = parse_color(body);
        } else if let Some(body) = text.strip_prefix("\x1b[?") {
            match body.as_bytes().last() {
                Some(b'c') => {
                    // One number that no terminal gives, and none is believed.
                    let attributes: Option<Vec<u16>> = body
                        .trim_end_matches('c')
                        .split(';')
                        .map(|n| n.parse().ok())
                        .collect();
                    self.sixel = attributes.is_some_and(|all| all.iter().skip(1).any(|n| *n == 4));
                    self.is_complete = true;
                }
                Some(b'u') => self.keyboard = true,
                _ => {}
            }
        } else if text == "\x1b[0n" {
            self.status = true;
        } else if let Some(body) = text.strip_prefix("\x1b[").and_then(|b| b.strip_suffix('t')) {
            let mut numbers = body.split(';').map(|n| n.parse::<u16>().ok());
            let kind = numbers.next().flatten();
            let (Some(Some(height)), Some(Some(width))) = (numbers.next(), numbers.next()) else {
                return;
            };
            match kind {
                Some(6) => self.cell = Some((width, height)),
                Some(4) => self.window = Some((width, height)),
                _ => {}
            }
        }
    }

    /// Whether everybody who was asked has answered. tmux answers the last question
    /// itself, before the terminal around it has answered what was passed through.
    pub fn are_complete(&self) -> bool {
        let passes_through = self.tmux.as_ref().is_some_and(|tmux| tmux.passes_through);
        self.is_complete && (self.status || !passes_through)
    }
}

/// `rgb:1e1e/1e1e/2e2e`, with one to four digits a channel.
fn parse_color(text: &str) -> Option<(u8, u8, u8)> {
    let mut channels = text.strip_prefix("rgb:")?.split('/').map(|digits| {
        let bits = u32::try_from(digits.len())
            .ok()
            .filter(|n| (1..=4).contains(n))?
            * 4;
        let value = u32::from_str_radix(digits, 16).ok()?;
        u8::try_from(value * 255 / ((1 << bits) - 1)).ok()
    });
    let color = (channels.next()??, channels.next()??, channels.next()??);
    channels.next().is_none().then_some(color)
}
