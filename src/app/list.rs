//! Motion in a list of rows: the same keys and the same scrolling in every pane.

use super::action::Action;

/// Where the cursor of a list of `count` rows goes; `None` when the action is no
/// motion. `height` is how many rows are on the screen.
pub fn motion(
    action: Action,
    n: Option<usize>,
    cursor: usize,
    count: usize,
    height: usize,
) -> Option<usize> {
    let last = count.saturating_sub(1);
    let by = n.unwrap_or(1);
    let height = height.max(1);
    let half = (height / 2).max(1);
    let target = match action {
        Action::CursorDown => cursor.saturating_add(by),
        Action::CursorUp => cursor.saturating_sub(by),
        Action::HalfPageDown => cursor.saturating_add(by.saturating_mul(half)),
        Action::HalfPageUp => cursor.saturating_sub(by.saturating_mul(half)),
        Action::PageDown => cursor.saturating_add(by.saturating_mul(height)),
        Action::PageUp => cursor.saturating_sub(by.saturating_mul(height)),
        Action::CursorTop => n.map_or(0, |n| n.saturating_sub(1)),
        Action::CursorBottom => n.map_or(last, |n| n.saturating_sub(1)),
        _ => return None,
    };
    Some(target.min(last))
}

/// The first row on the screen so that the cursor is in view.
pub fn scrolled(top_row: usize, cursor: usize, count: usize, height: usize) -> usize {
    let height = height.max(1);
    let top_row = top_row.min(count.saturating_sub(height));
    if cursor < top_row {
        cursor
    } else if cursor >= top_row + height {
        cursor + 1 - height
    } else {
        top_row
    }
}

/// Scrolls by lines; gives the first row and a cursor that is in view.
pub fn wheel(
    lines: i32,
    top_row: usize,
    cursor: usize,
    count: usize,
    height: usize,
) -> (usize, usize) {
    let height = height.max(1);
    let by = lines.unsigned_abs() as usize;
    let top_row = if lines < 0 {
        top_row.saturating_sub(by)
    } else {
        (top_row + by).min(count.saturating_sub(height))
    };
    let cursor = cursor.clamp(top_row, top_row + height - 1);
    (top_row, cursor.min(count.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn motions_stay_within_the_list() {
        for (action, n, expected) in [
            (Action::CursorDown, None, 6),
            (Action::CursorUp, Some(9), 0),
            (Action::CursorTop, Some(3), 2),
            (Action::CursorBottom, None, 9),
            (Action::PageDown, None, 9),
            (Action::HalfPageUp, None, 3),
            (Action::CursorDown, Some(usize::MAX), 9),
        ] {
            assert_eq!(motion(action, n, 5, 10, 4), Some(expected), "{action}");
        }
        assert_eq!(motion(Action::Save, None, 5, 10, 4), None);
        assert_eq!(motion(Action::CursorDown, None, 0, 0, 0), Some(0));
    }

    #[test]
    fn the_cursor_is_scrolled_into_view() {
        assert_eq!(scrolled(0, 5, 10, 4), 2);
        assert_eq!(scrolled(6, 5, 10, 4), 5);
        assert_eq!(scrolled(9, 9, 10, 4), 6);
        assert_eq!(wheel(3, 0, 0, 10, 4), (3, 3));
        assert_eq!(wheel(-9, 3, 6, 10, 4), (0, 3));
        assert_eq!(wheel(9, 0, 0, 0, 4), (0, 0));
    }
}
