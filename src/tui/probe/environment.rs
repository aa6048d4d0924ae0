//! What the environment says of the terminal: it breaks ties and no more.

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    pub term: String,
    pub colorterm: String,
    pub term_program: String,
    /// Survives SSH where `TERM_PROGRAM` does not; iTerm2 sets it.
    pub lc_terminal: String,
    pub in_tmux: bool,
    /// How many tmux there are between here and the terminal.
    pub tmux_depth: u8,
    pub in_screen: bool,
    pub over_ssh: bool,
    pub no_color: bool,
    pub is_utf8: bool,
}

impl Environment {
    pub fn from_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).unwrap_or_default();
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = text("TERM");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .map(text)
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let in_tmux = is_set("TMUX") || term.starts_with("tmux");
        Self {
            colorterm: text("COLORTERM"),
            term_program: text("TERM_PROGRAM"),
            lc_terminal: text("LC_TERMINAL"),
            in_tmux,
            tmux_depth: u8::from(in_tmux),
            in_screen: is_set("STY"),
            over_ssh: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
            no_color: is_set("NO_COLOR"),
            is_utf8: locale.contains("utf-8") || locale.contains("utf8"),
            term,
        }
    }

    /// The same where so many tmux run inside each other, if any does: nobody can be
    /// asked for the number.
    pub fn in_tmux_of(mut self, depth: u8) -> Self {
        self.tmux_depth = if self.in_tmux { depth.max(1) } else { 0 };
        self
    }
}
