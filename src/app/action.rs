//! Everything a user can do, once: its name, its one-line help, and its default
//! keys. Key handling, help, hints, the which-key box, the palette and the key
//! table of the README all come from this table.

use std::fmt;

/// A table of keys: which keys count depends on where the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Behind every pane that is not a text field.
    Global,
    Gallery,
    Viewer,
    Facets,
    /// The tag list of the editor.
    Editor,
    /// The text field of the editor.
    EditorInput,
    Monitor,
    /// Behind every text field.
    Text,
    Query,
    Command,
    /// A one-line question, such as the quick tag prompt.
    Prompt,
    Dialog,
    Help,
}

impl Layer {
    pub const ALL: [Self; 13] = [
        Self::Global,
        Self::Gallery,
        Self::Viewer,
        Self::Facets,
        Self::Editor,
        Self::EditorInput,
        Self::Monitor,
        Self::Text,
        Self::Query,
        Self::Command,
        Self::Prompt,
        Self::Dialog,
        Self::Help,
    ];

    /// The name of its table in `keymap.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Gallery => "gallery",
            Self::Viewer => "viewer",
            Self::Facets => "facets",
            Self::Editor => "editor",
            Self::EditorInput => "editor_input",
            Self::Monitor => "monitor",
            Self::Text => "text",
            Self::Query => "query",
            Self::Command => "command",
            Self::Prompt => "prompt",
            Self::Dialog => "dialog",
            Self::Help => "help",
        }
    }

    /// What people call it, for headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Gallery => "Gallery",
            Self::Viewer => "Viewer",
            Self::Facets => "Tag sidebar",
            Self::Editor => "Tag editor, list",
            Self::EditorInput => "Tag editor, input",
            Self::Monitor => "Ingest monitor",
            Self::Text => "Any text field",
            Self::Query => "Query bar",
            Self::Command => "Command line",
            Self::Prompt => "Prompt",
            Self::Dialog => "Dialog",
            Self::Help => "Help",
        }
    }

    /// The layer that is asked when this one does not know a key.
    pub fn behind(self) -> Option<Self> {
        match self {
            Self::Gallery | Self::Viewer | Self::Facets | Self::Editor | Self::Monitor => {
                Some(Self::Global)
            }
            Self::EditorInput | Self::Query | Self::Command | Self::Prompt | Self::Help => {
                Some(Self::Text)
            }
            Self::Global | Self::Text | Self::Dialog => None,
        }
    }

    /// Whether keys that are not bound type text here.
    pub fn is_text(self) -> bool {
        self == Self::Text || self.behind() == Some(Self::Text)
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ActionInfo {
    pub action: Action,
    /// `cursor.top`: what `keymap.toml` and the palette call it.
    pub name: &'static str,
    /// One line, lower case, no full stop.
    pub help: &'static str,
    /// Default chords, each with its layer.
    pub keys: &'static [(Layer, &'static [&'static str])],
}

macro_rules! actions {
    ($($action:ident $name:literal $help:literal [$($layer:ident $($key:literal)+),*])*) => {
        /// A thing the user can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = $help] $action,)*
        }

        /// The table, in the order of the help.
        pub const ACTIONS: &[ActionInfo] = &[
            $(ActionInfo {
                action: Action::$action,
                name: $name,
                help: $help,
                keys: &[$((Layer::$layer, &[$($key),+])),*],
            },)*
        ];
    };
}

actions! {
    // Moving about.
    CursorLeft "cursor.left" "move left" [Gallery "h" "Left"]
    CursorDown "cursor.down" "move down" [Gallery "j" "Down", Editor "j" "Down", Facets "j" "Down", Monitor "j" "Down", Help "Down" "Ctrl-n", Dialog "j" "Down" "Tab"]
    CursorUp "cursor.up" "move up" [Gallery "k" "Up", Editor "k" "Up", Facets "k" "Up", Monitor "k" "Up", Help "Up" "Ctrl-p", Dialog "k" "Up" "Shift-Tab"]
    CursorRight "cursor.right" "move right" [Gallery "l" "Right"]
    RowStart "cursor.row_start" "start of the row" [Gallery "0"]
    RowEnd "cursor.row_end" "end of the row" [Gallery "$"]
    CursorTop "cursor.top" "first, or with a count the nth" [Gallery "g g" "Home", Editor "g g" "Home", Facets "g g" "Home", Monitor "g g" "Home"]
    CursorBottom "cursor.bottom" "last, or with a count the nth" [Gallery "G" "End", Editor "G" "End", Facets "G" "End", Monitor "G" "End"]
    ScreenTop "cursor.screen_top" "top of the screen" [Gallery "H"]
    ScreenMiddle "cursor.screen_middle" "middle of the screen" [Gallery "M"]
    ScreenBottom "cursor.screen_bottom" "bottom of the screen" [Gallery "L"]
    HalfPageDown "cursor.half_page_down" "half a page down" [Gallery "Ctrl-d", Editor "Ctrl-d", Facets "Ctrl-d", Monitor "Ctrl-d"]
    HalfPageUp "cursor.half_page_up" "half a page up" [Gallery "Ctrl-u", Editor "Ctrl-u", Facets "Ctrl-u", Monitor "Ctrl-u"]
    PageDown "cursor.page_down" "a page down" [Gallery "Ctrl-f" "PgDn", Editor "Ctrl-f" "PgDn", Facets "Ctrl-f" "PgDn", Monitor "Ctrl-f" "PgDn", Help "PgDn", Dialog "PgDn"]
    PageUp "cursor.page_up" "a page up" [Gallery "Ctrl-b" "PgUp", Editor "Ctrl-b" "PgUp", Facets "Ctrl-b" "PgUp", Monitor "Ctrl-b" "PgUp", Help "PgUp", Dialog "PgUp"]
    ScrollMiddle "scroll.middle" "scroll the cursor's row to the middle" [Gallery "z z"]
    ScrollTop "scroll.top" "scroll the cursor's row to the top" [Gallery "z t"]
    ScrollBottom "scroll.bottom" "scroll the cursor's row to the bottom" [Gallery "z b"]
    NextUntagged "jump.next_untagged" "next without tags" [Gallery "] u"]
    PreviousUntagged "jump.previous_untagged" "previous without tags" [Gallery "[ u"]
    NextSelected "jump.next_selected" "next selected" [Gallery "] s"]
    PreviousSelected "jump.previous_selected" "previous selected" [Gallery "[ s"]
    NextSimilar "jump.next_duplicate" "next with a known near-duplicate" [Gallery "] d"]
    PreviousSimilar "jump.previous_duplicate" "previous with a known near-duplicate" [Gallery "[ d"]
    NextBroken "jump.next_error" "next whose original is missing or cannot be shown" [Gallery "] e"]
    PreviousBroken "jump.previous_error" "previous whose original is missing or cannot be shown" [Gallery "[ e"]
    RepeatJump "jump.again" "repeat the last jump" [Gallery "n"]
    RepeatJumpBack "jump.again_back" "repeat the last jump the other way" [Gallery "N"]
    SetMark "mark.set" "put a mark on this picture: a letter" [Global "m"]
    GoToMark "mark.jump" "to the picture with a mark: a letter, or ' to go back" [Global "'"]
    Random "jump.random" "a random picture of the result" [Gallery "g r"]

    // Selecting.
    ToggleSelect "select.toggle" "select or not, and move on" [Gallery "Space"]
    SelectRange "select.range" "start or end a range" [Gallery "v"]
    SelectRows "select.rows" "start or end a range of whole rows" [Gallery "V"]
    SelectAll "select.all" "select the whole result" [Gallery "%"]
    SelectInvert "select.invert" "invert the selection" [Gallery "!"]
    Reselect "select.again" "select what was selected before" [Gallery "g v"]
    Escape "escape" "leave the range, then clear the selection" [Gallery "Esc"]

    // Tagging and other edits of the selection, or of the picture under the cursor.
    TagPrompt "tag.prompt" "add tags: foo -bar char:holo rating:s" [Gallery "t", Viewer "t"]
    UntagPrompt "tag.remove_prompt" "remove tags" [Gallery "T", Viewer "T"]
    EditTags "editor.open" "open the tag editor" [Gallery "e", Viewer "e"]
    RepeatEdit "edit.again" "repeat the last edit here" [Gallery ".", Viewer "."]
    YankTags "tag.yank" "yank the tags" [Gallery "y", Viewer "y", Editor "y"]
    PasteTags "tag.paste" "add the yanked tags" [Gallery "p", Viewer "p", Editor "p"]
    PasteTagsOver "tag.paste_over" "replace the tags by the yanked ones" [Gallery "P", Viewer "P", Editor "P"]
    Favorite "favorite" "favorite or not" [Gallery "f", Viewer "f"]
    Stars0 "stars.0" "no stars" [Gallery "s 0", Viewer "s 0"]
    Stars1 "stars.1" "one star" [Gallery "s 1", Viewer "s 1"]
    Stars2 "stars.2" "two stars" [Gallery "s 2", Viewer "s 2"]
    Stars3 "stars.3" "three stars" [Gallery "s 3", Viewer "s 3"]
    Stars4 "stars.4" "four stars" [Gallery "s 4", Viewer "s 4"]
    Stars5 "stars.5" "five stars" [Gallery "s 5", Viewer "s 5"]
    RatingGeneral "rating.general" "rate general" [Gallery "r g", Viewer "r g"]
    RatingSensitive "rating.sensitive" "rate sensitive" [Gallery "r s", Viewer "r s"]
    RatingQuestionable "rating.questionable" "rate questionable" [Gallery "r q", Viewer "r q"]
    RatingExplicit "rating.explicit" "rate explicit" [Gallery "r e", Viewer "r e"]
    RatingSuggested "rating.suggested" "rate as the tags suggest (info panel)" [Gallery "r a", Viewer "r a"]
    RatingClear "rating.clear" "take the rating away" [Gallery "r -", Viewer "r -"]
    Archive "status.archive" "archive" [Gallery "a", Viewer "a"]
    Inbox "status.inbox" "back to the inbox" [Gallery "A", Viewer "A"]
    Trash "trash" "move to the trash" [Gallery "d", Viewer "d"]
    Undo "undo" "undo" [Global "u", EditorInput "Ctrl-z"]
    Redo "redo" "redo" [Global "Ctrl-r", EditorInput "Ctrl-r"]
    History "undo.history" "list of what can be undone" [Global "U"]
    Save "save" "save pending edits" [Global "Ctrl-s", EditorInput "Ctrl-s"]

    // Copying.
    CopyPath "copy.path" "copy the path" [Gallery "c c", Viewer "c c"]
    CopyMd5 "copy.md5" "copy the md5" [Gallery "c m", Viewer "c m"]
    CopyTags "copy.tags" "copy the tags" [Gallery "c t", Viewer "c t"]
    CopyCaption "copy.caption" "copy the caption" [Gallery "c s", Viewer "c s"]
    CopyUrl "copy.url" "copy the source URL" [Gallery "c u", Viewer "c u"]
    OpenSource "open.source" "open the source URL" [Gallery "g o", Viewer "g o"]

    // Searching.
    EditQuery "query.edit" "edit the query" [Global "/"]
    Similar "search.similar" "pictures similar to this" [Gallery "g s", Viewer "g s"]
    Parent "search.parent" "the parent of this" [Gallery "g p", Viewer "g p"]
    Children "search.children" "the children of this" [Gallery "g c", Viewer "g c"]
    Derived "search.derived" "masks, crops and frames of this" [Gallery "g m", Viewer "g m"]
    SameArtist "search.artist" "everything by the same artist" [Gallery "g a", Viewer "g a"]
    ToggleFacets "facets.toggle" "sidebar with the tags of the result" [Gallery "F", Facets "F"]
    FacetAdd "facets.add" "add the tag to the query" [Facets "Enter" "l"]
    FacetExclude "facets.exclude" "exclude the tag from the query" [Facets "-" "h"]
    SortName "sort.name" "sort by name" [Gallery ", n"]
    SortNameReverse "sort.name_reverse" "sort by name, last first" [Gallery ", N"]
    SortDate "sort.date" "sort by date, newest first" [Gallery ", d"]
    SortDateReverse "sort.date_reverse" "sort by date, oldest first" [Gallery ", D"]
    SortImported "sort.imported" "sort by import, newest first" [Gallery ", i"]
    SortImportedReverse "sort.imported_reverse" "sort by import, oldest first" [Gallery ", I"]
    SortSize "sort.size" "sort by file size, largest first" [Gallery ", s"]
    SortSizeReverse "sort.size_reverse" "sort by file size, smallest first" [Gallery ", S"]
    SortWidth "sort.width" "sort by width, widest first" [Gallery ", w"]
    SortWidthReverse "sort.width_reverse" "sort by width, narrowest first" [Gallery ", W"]
    SortTags "sort.tags" "sort by number of tags, most first" [Gallery ", t"]
    SortTagsReverse "sort.tags_reverse" "sort by number of tags, fewest first" [Gallery ", T"]
    SortStars "sort.stars" "sort by stars, most first" [Gallery ", *"]
    SortModified "sort.modified" "sort by last change, newest first" [Gallery ", m"]
    SortModifiedReverse "sort.modified_reverse" "sort by last change, oldest first" [Gallery ", M"]
    SortColor "sort.color" "sort by color, hues from red on" [Gallery ", c"]
    SortColorReverse "sort.color_reverse" "sort by color, from black back" [Gallery ", C"]
    SortRandom "sort.random" "shuffle" [Gallery ", r"]

    // How the gallery looks.
    TilesLarger "tiles.larger" "larger thumbnails" [Gallery "+"]
    TilesSmaller "tiles.smaller" "smaller thumbnails" [Gallery "-"]
    TilesDefault "tiles.default" "default thumbnail size" [Gallery "="]
    ToggleCaptions "captions.toggle" "captions below the thumbnails or not" [Gallery "z c"]

    // The viewer.
    View "viewer.open" "open the viewer" [Gallery "Enter"]
    Next "viewer.next" "next picture" [Viewer "l" "Space" "PgDn", Editor "Ctrl-j", EditorInput "PgDn"]
    Previous "viewer.previous" "previous picture" [Viewer "h" "Backspace" "PgUp", Editor "Ctrl-k", EditorInput "PgUp"]
    First "viewer.first" "first picture" [Viewer "g g" "Home"]
    Last "viewer.last" "last picture" [Viewer "G" "End"]
    ZoomCycle "viewer.zoom" "fit, full width, one to one" [Viewer "z"]
    ZoomIn "viewer.zoom_in" "zoom in" [Viewer "+"]
    ZoomOut "viewer.zoom_out" "zoom out" [Viewer "-"]
    ZoomReset "viewer.zoom_reset" "fit again" [Viewer "0" "="]
    PanLeft "viewer.pan_left" "pan left; previous when all of it is in view" [Viewer "H" "Left"]
    PanDown "viewer.pan_down" "pan down" [Viewer "J" "Down"]
    PanUp "viewer.pan_up" "pan up" [Viewer "K" "Up"]
    PanRight "viewer.pan_right" "pan right; next when all of it is in view" [Viewer "L" "Right"]
    ToggleMasks "viewer.masks" "lay its next mask over it, or none" [Viewer "m"]
    ToggleCrops "viewer.crops" "draw the rectangles of its crops, or not" [Viewer "o"]
    NextFrame "viewer.next_frame" "next frame of an animation" [Viewer "]"]
    PreviousFrame "viewer.previous_frame" "previous frame of an animation" [Viewer "["]
    Slideshow "slideshow" "show one picture after the other; again stops" [Gallery "S", Viewer "S"]
    SlideshowSlower "slideshow.slower" "slideshow: more time for each" [Viewer "<"]
    SlideshowFaster "slideshow.faster" "slideshow: less time for each" [Viewer ">"]

    // The tag editor.
    EditorInsert "editor.input" "type a tag" [Editor "i" "A" "o"]
    EditorList "editor.list" "to the list of tags" [EditorInput "Esc"]
    EditorAccept "editor.accept" "take the chosen completion; with nothing typed, close" [EditorInput "Enter"]
    EditorLiteral "editor.literal" "take the text as it is typed" [EditorInput "Ctrl-j" "Ctrl-Enter"]
    EditorAddToAll "editor.add_to_all" "give a tag that some have to all" [Editor "Enter"]
    EditorMark "editor.mark" "mark the tag for the next command" [Editor "Space"]
    EditorRemove "editor.remove" "remove the tag" [Editor "d d" "x" "Del"]
    EditorMoveDown "editor.move_down" "move the tag down" [Editor "J"]
    EditorMoveUp "editor.move_up" "move the tag up" [Editor "K"]
    EditorRename "editor.rename" "rename the tag here" [Editor "r"]
    EditorRenameEverywhere "editor.rename_everywhere" "rename the tag in the whole library" [Editor "R"]
    CategoryGeneral "editor.category_general" "make it a general tag" [Editor "c g"]
    CategoryArtist "editor.category_artist" "make it an artist" [Editor "c a"]
    CategoryCopyright "editor.category_copyright" "make it a copyright" [Editor "c o"]
    CategoryCharacter "editor.category_character" "make it a character" [Editor "c c"]
    CategorySpecies "editor.category_species" "make it a species" [Editor "c s"]
    CategoryMeta "editor.category_meta" "make it a meta tag" [Editor "c m"]
    CategoryLore "editor.category_lore" "make it a lore tag" [Editor "c l"]
    EditorFind "editor.find" "find in the list of tags" [Editor "/"]
    EditorFindNext "editor.find_next" "next that is found" [Editor "n"]
    EditorFindPrevious "editor.find_previous" "previous that is found" [Editor "N"]
    EditorCaption "editor.caption" "edit the caption" [Editor "C"]
    EditorName "editor.name" "edit the display name" [Editor "g n"]
    EditorSortPosition "editor.sort_position" "show in the order of the sidecar" [Editor ", p"]
    EditorSortCategory "editor.sort_category" "show by category" [Editor ", c"]
    EditorSortName "editor.sort_name" "show by name" [Editor ", a"]
    EditorSortCount "editor.sort_count" "show the most used first" [Editor ", n"]

    // The ingest monitor.
    MonitorDetails "monitor.details" "details: stage times and the reason" [Monitor "Enter" "l"]
    MonitorPause "monitor.pause" "pause or resume the ingest" [Monitor "p" "P"]
    MonitorCancel "monitor.cancel" "cancel the running job" [Monitor "x"]
    MonitorRetry "monitor.retry" "try this file again" [Monitor "r"]
    MonitorRetryAll "monitor.retry_all" "try all failed files again" [Monitor "R"]
    MonitorDrop "monitor.drop" "drop from the list; the file stays" [Monitor "d"]
    MonitorScan "monitor.scan" "scan the ingest folder now" [Monitor "s"]
    MonitorOpen "monitor.open" "show the picture in the gallery" [Monitor "o"]
    MonitorMoreWorkers "monitor.more_workers" "one worker more" [Monitor "+"]
    MonitorFewerWorkers "monitor.fewer_workers" "one worker less" [Monitor "-"]
    MonitorTimes "monitor.times" "times of the stages, p50 and p95" [Monitor "t"]
    MonitorCache "monitor.cache" "the cache instead of the list, or the list again" [Monitor "C"]
    CacheClear "cache.clear" "forget what is cached, by pattern" [Monitor "c"]
    CacheWarm "cache.warm" "make the missing thumbnails of the result" [Monitor "W"]
    MonitorAll "monitor.show_all" "show all" [Monitor "f a"]
    MonitorRunning "monitor.show_running" "show what runs" [Monitor "f r"]
    MonitorDone "monitor.show_done" "show what was stored" [Monitor "f d"]
    MonitorDuplicates "monitor.show_duplicates" "show duplicates" [Monitor "f u"]
    MonitorErrors "monitor.show_errors" "show errors" [Monitor "f e"]
    Log "log" "notices and errors so far" [Monitor "L"]

    // Panes and the program.
    NextPane "pane.next" "next pane" [Global "Tab"]
    PreviousPane "pane.previous" "previous pane" [Global "Shift-Tab"]
    GoGallery "pane.gallery" "to the gallery" [Global "g l"]
    GoEditor "pane.editor" "to the tag editor" [Global "g e"]
    GoFacets "pane.facets" "to the tag sidebar" [Global "g f"]
    GoMonitor "pane.monitor" "to the ingest monitor" [Global "g w"]
    ToggleInfo "info.toggle" "info panel or not" [Global "i"]
    ToggleMonitor "monitor.toggle" "ingest monitor or not" [Global "w"]
    Help "help" "keys and commands of this pane, searchable" [Global "?"]
    CommandLine "command" "command line" [Global ":"]
    Back "back" "close this pane; on the last one quit" [Global "q", Viewer "Esc", Facets "Esc", Monitor "Esc", Editor "Esc"]
    SaveAndQuit "quit.save" "save and quit" [Global "Z Z"]
    QuitNow "quit.discard" "quit; asks when edits would be lost" [Global "Z Q"]
    Redraw "redraw" "draw everything again" [Global "Ctrl-l", Text "Ctrl-l"]
    Cancel "cancel" "cancel the running job, or what is being typed" [Global "Ctrl-c", Text "Ctrl-c", Dialog "Ctrl-c"]
    Suspend "suspend" "suspend; fg comes back" [Global "Ctrl-z"]

    // Text fields.
    TextAccept "text.accept" "run" [Query "Enter", Command "Enter", Prompt "Enter", Help "Enter"]
    TextLeave "text.leave" "cancel" [Query "Esc", Command "Esc", Prompt "Esc", Help "Esc"]
    TextLeft "text.left" "one letter left" [Text "Left"]
    TextRight "text.right" "one letter right" [Text "Right"]
    TextWordLeft "text.word_left" "one word left" [Text "Ctrl-Left" "Alt-b"]
    TextWordRight "text.word_right" "one word right" [Text "Ctrl-Right" "Alt-f"]
    TextHome "text.home" "start of the line" [Text "Home" "Ctrl-a"]
    TextEnd "text.end" "end of the line" [Text "End" "Ctrl-e"]
    TextBackspace "text.backspace" "delete the letter before" [Text "Backspace" "Ctrl-h"]
    TextDelete "text.delete" "delete the letter after" [Text "Del" "Ctrl-d"]
    TextDeleteWord "text.delete_word" "delete the word before" [Text "Ctrl-w"]
    TextDeleteToStart "text.delete_to_start" "delete everything before" [Text "Ctrl-u"]
    TextDeleteToEnd "text.delete_to_end" "delete everything after" [Text "Ctrl-k"]
    CompleteNext "complete.next" "next completion" [Query "Tab" "Ctrl-n", Command "Tab" "Ctrl-n", Prompt "Tab" "Ctrl-n" "Down", EditorInput "Tab" "Ctrl-n" "Down"]
    CompletePrevious "complete.previous" "previous completion" [Query "Shift-Tab" "Ctrl-p", Command "Shift-Tab" "Ctrl-p", Prompt "Shift-Tab" "Ctrl-p" "Up", EditorInput "Shift-Tab" "Ctrl-p" "Up"]
    HistoryPrevious "history.previous" "older line" [Query "Up", Command "Up"]
    HistoryNext "history.next" "newer line" [Query "Down", Command "Down"]
    QueryText "query.text" "search the word as text" [Query "Ctrl-f"]
    QueryNegate "query.negate" "negate the word" [Query "Ctrl-x"]
    QueryKeep "query.keep" "name this search" [Query "Ctrl-b"]
    QueryOr "query.or" "offer an alternative to the word: (word or …)" [Query "Ctrl-o"]

    // Dialogs.
    DialogAccept "dialog.accept" "take the chosen answer" [Dialog "Enter" "Space" "l"]
    DialogCancel "dialog.cancel" "cancel" [Dialog "Esc" "q"]
}

impl Action {
    /// The row of this action.
    pub fn info(self) -> &'static ActionInfo {
        // The enum and the table come from one list, so the discriminant is the place.
        &ACTIONS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.info().name
    }

    pub fn help(self) -> &'static str {
        self.info().help
    }

    pub fn by_name(name: &str) -> Option<Self> {
        ACTIONS
            .iter()
            .find(|info| info.name == name)
            .map(|info| info.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::app::key::parse_chord;

    #[test]
    fn names_are_unique_and_lead_back() {
        let mut names = HashSet::new();
        for info in ACTIONS {
            assert!(names.insert(info.name), "{} twice", info.name);
            assert_eq!(info.action.info().name, info.name);
            assert_eq!(Action::by_name(info.name), Some(info.action));
        }
    }

    #[test]
    fn every_row_is_written_as_the_help_wants_it() {
        for info in ACTIONS {
            assert!(
                !info.help.is_empty() && !info.help.ends_with('.'),
                "{info:?}"
            );
            assert!(
                info.help.chars().next().is_some_and(char::is_lowercase),
                "{info:?}"
            );
            for key in info.keys.iter().flat_map(|(_, keys)| *keys) {
                assert!(parse_chord(key).is_ok(), "{key} of {}", info.name);
            }
        }
    }
}
