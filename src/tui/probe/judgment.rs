//! The judgment: from answers and environment to what the program may rely on.

use super::{Capabilities, ColorDepth, DEFAULT_CELL, Environment, Graphics, Replies, Window};

/// Judges the answers. `wanted` overrides the choice of graphics.
pub fn decide(
    replies: &Replies,
    environment: &Environment,
    window: Window,
    wanted: Option<Graphics>,
) -> Capabilities {
    let outer = replies.tmux.as_ref().map(|tmux| tmux.outer.as_str());
    let version = match (environment.in_tmux, outer) {
        (true, Some(outer)) => outer,
        (true, None) => "",
        (false, _) => replies.version.as_deref().unwrap_or_default(),
    };
    let (graphics, reason) = match wanted {
        Some(graphics) => (graphics, "as asked for".to_owned()),
        None => choose_graphics(replies, environment, version),
    };
    let colors = color_depth(replies, environment, version);
    let (graphics, reason) = match (graphics, colors) {
        (Graphics::Halfblocks, ColorDepth::Monochrome) => (
            Graphics::None,
            "half-blocks show nothing without colors".to_owned(),
        ),
        chosen => (chosen.0, reason),
    };
    Capabilities {
        graphics,
        reason,
        cell: [
            replies.cell,
            replies.window.and_then(|px| window.cell(px)),
            window.cell((window.width, window.height)),
        ]
        .into_iter()
        .flatten()
        .find(|(width, height)| (4..=64).contains(width) && (8..=128).contains(height))
        .unwrap_or(DEFAULT_CELL),
        window_cell: window.cell((window.width, window.height)),
        colors,
        background: replies.background,
        keyboard: replies.keyboard,
        in_tmux: environment.in_tmux,
        tmux_depth: environment.tmux_depth,
        over_ssh: environment.over_ssh,
        is_utf8: environment.is_utf8,
        answers: replies.status,
        version: if version.is_empty() {
            environment.term.clone()
        } else {
            version.to_owned()
        },
    }
}

fn choose_graphics(
    replies: &Replies,
    environment: &Environment,
    version: &str,
) -> (Graphics, String) {
    let name = version.to_ascii_lowercase();
    let half = |reason: &str| (Graphics::Halfblocks, reason.to_owned());
    if !environment.is_utf8 {
        return (Graphics::None, "the locale is not UTF-8".to_owned());
    }
    if environment.in_screen {
        return half("GNU screen passes no pictures on");
    }
    if environment.in_tmux && replies.sixel {
        // tmux itself draws them and keeps track of where they are.
        return (Graphics::Sixel, "tmux says it has sixel".to_owned());
    }
    if environment.in_tmux
        && !replies
            .tmux
            .as_ref()
            .is_some_and(|tmux| tmux.passes_through)
    {
        return half("tmux passes no pictures on; `set -g allow-passthrough on` lets it");
    }
    if name.starts_with("kitty") || name.starts_with("ghostty") {
        let has_placeholders = name.starts_with("ghostty")
            || version_number(&name).is_some_and(|number| number >= (0, 28));
        return match (replies.kitty, has_placeholders) {
            (true, true) => (
                Graphics::Kitty,
                "kitty protocol with placeholders".to_owned(),
            ),
            (true, false) if environment.in_tmux => {
                half("inside tmux kitty needs placeholders, which came with 0.28")
            }
            (true, false) => (
                Graphics::KittyDirect,
                "kitty before 0.28 has no placeholders: pictures are placed by command".to_owned(),
            ),
            (false, _) => half("the terminal did not answer the picture query"),
        };
    }
    if environment.in_tmux {
        return half("inside tmux only kitty and Ghostty show pictures reliably");
    }
    let is_iterm = |text: &str| text.to_ascii_lowercase().contains("iterm");
    if name.starts_with("iterm2")
        || name.starts_with("wezterm")
        || (name.is_empty()
            && (is_iterm(&environment.lc_terminal) || is_iterm(&environment.term_program)))
    {
        return (Graphics::Iterm2, "iTerm2 inline pictures".to_owned());
    }
    if name.starts_with("konsole") && replies.kitty {
        // It draws boxes for placeholders.
        return (
            Graphics::KittyDirect,
            "Konsole knows kitty pictures that are placed by command".to_owned(),
        );
    }
    if replies.sixel {
        return (Graphics::Sixel, "the terminal says it has sixel".to_owned());
    }
    if replies.is_complete {
        half("the terminal offers no pictures")
    } else {
        half("the terminal did not answer in time")
    }
}

/// `kitty(0.41.1)` gives `(0, 41)`.
fn version_number(name: &str) -> Option<(u32, u32)> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut parts = digits.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn color_depth(replies: &Replies, environment: &Environment, version: &str) -> ColorDepth {
    const TRUECOLOR: [&str; 8] = [
        "kitty",
        "ghostty",
        "wezterm",
        "iterm2",
        "foot",
        "konsole",
        "contour",
        "alacritty",
    ];
    let name = version.to_ascii_lowercase();
    if environment.no_color {
        ColorDepth::Monochrome
    } else if replies.truecolor
        || matches!(environment.colorterm.as_str(), "truecolor" | "24bit")
        || environment.term.contains("direct")
        || (!environment.in_tmux && TRUECOLOR.iter().any(|known| name.starts_with(known)))
    {
        ColorDepth::TrueColor
    } else if environment.term.contains("256") || replies.sixel {
        ColorDepth::Ansi256
    } else {
        ColorDepth::Ansi16
    }
}
