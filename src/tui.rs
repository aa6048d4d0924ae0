//! The screen: what `app` holds, drawn with ratatui.

pub mod glyph;
pub mod image;
pub mod probe;
pub mod terminal;
pub mod theme;
