//! The signs of the screen, each with a twin for terminals without UTF-8.

/// A set of signs, each one cell wide.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    pub done: &'static str,
    pub failed: &'static str,
    pub unsaved: &'static str,
    pub selected: &'static str,
    pub favorite: &'static str,
    pub star: &'static str,
    pub similar: &'static str,
    pub missing: &'static str,
    pub broken: &'static str,
    pub merged: &'static str,
    pub animated: &'static str,
    pub video: &'static str,
    pub all: &'static str,
    pub some: &'static str,
    pub suggested: &'static str,
    pub search: &'static str,
    pub arrow: &'static str,
    pub dot: &'static str,
    pub download: &'static str,
    pub ellipsis: &'static str,
    pub horizontal: &'static str,
    pub vertical: &'static str,
    /// The frame of the tile under the cursor, drawn in the gap around it.
    pub frame_side: &'static str,
    pub frame_top: &'static str,
    pub frame_bottom: &'static str,
    /// The same gap of a tile that is selected.
    pub edge_left: &'static str,
    pub edge_right: &'static str,
    pub paused: &'static str,
    pub more_up: &'static str,
    pub more_down: &'static str,
    /// Full and empty part of a progress bar.
    pub full: &'static str,
    pub empty: &'static str,
    /// Heights of a graph, from nothing to full.
    pub levels: [&'static str; 9],
    pub spinner: [&'static str; 8],
}

pub static UNICODE: Glyphs = Glyphs {
    done: "✓",
    failed: "✗",
    unsaved: "●",
    selected: "✓",
    favorite: "♥",
    star: "★",
    similar: "≈",
    missing: "∅",
    broken: "╳",
    merged: "⇄",
    animated: "▸",
    video: "▶",
    all: "●",
    some: "◐",
    suggested: "○",
    search: "⌕",
    arrow: "→",
    download: "⇣",
    dot: "·",
    ellipsis: "…",
    horizontal: "─",
    vertical: "│",
    frame_side: "█",
    frame_top: "▄",
    frame_bottom: "▀",
    edge_left: "▐",
    edge_right: "▌",
    paused: "‖",
    more_up: "↑",
    more_down: "↓",
    full: "━",
    empty: "─",
    levels: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    spinner: ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠛"],
};

pub static ASCII: Glyphs = Glyphs {
    done: "+",
    failed: "x",
    unsaved: "*",
    selected: "+",
    favorite: "&",
    star: "*",
    similar: "=",
    missing: "0",
    broken: "X",
    merged: "M",
    animated: ">",
    video: ">",
    all: "*",
    some: "%",
    suggested: "o",
    search: "/",
    arrow: ">",
    download: "v",
    dot: ".",
    ellipsis: "~",
    horizontal: "-",
    vertical: "|",
    frame_side: "#",
    frame_top: "#",
    frame_bottom: "#",
    edge_left: "|",
    edge_right: "|",
    paused: "=",
    more_up: "^",
    more_down: "v",
    full: "#",
    empty: "-",
    levels: [" ", "_", "_", ".", ".", "-", "-", "=", "#"],
    spinner: ["|", "/", "-", "\\", "|", "/", "-", "\\"],
};

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn every_sign_is_one_cell_wide() {
        for (glyphs, is_ascii) in [(&UNICODE, false), (&ASCII, true)] {
            let all = format!("{glyphs:?}");
            assert_eq!(all.is_ascii(), is_ascii);
            let signs: Vec<&str> = all.split('"').skip(1).step_by(2).collect();
            assert!(signs.len() > 30);
            for sign in signs {
                // A backslash is printed as two.
                assert_eq!(sign.replace(r"\\", r"\").width(), 1, "{sign}");
            }
        }
    }
}
