//! Themes from files and built in.

use super::*;

fn write(folder: &Path, name: &str, text: &str) {
    let mut file = fs::File::create(folder.join(format!("{name}.toml"))).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

fn luminance(color: Color) -> f64 {
    let Color::Rgb(r, g, b) = color else {
        panic!("{color:?} is no fixed color")
    };
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

#[test]
fn built_in_and_own_themes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "mine", "");
    write(folder.path(), "dark", "");
    fs::File::create(folder.path().join("notes.txt")).unwrap();
    assert_eq!(
        Theme::names(Some(folder.path())),
        [
            "ansi16",
            "auto",
            "colorblind",
            "dark",
            "high-contrast",
            "light",
            "mine"
        ]
    );
    assert_eq!(Theme::names(None).len(), 6);
}

#[test]
fn every_theme_loads_without_a_warning() {
    for name in Theme::built_in_names() {
        for depth in [
            ColorDepth::TrueColor,
            ColorDepth::Ansi256,
            ColorDepth::Ansi16,
            ColorDepth::Monochrome,
        ] {
            let (theme, warnings) = Theme::load(name, None, depth);
            assert_eq!(warnings, Vec::<String>::new(), "{name}");
            let colored = theme
                .styles
                .iter()
                .filter(|style| style.fg.is_some())
                .count();
            assert_eq!(colored == 0, depth == ColorDepth::Monochrome, "{name}");
        }
    }
}

/// WCAG AA for every text on every background it can stand on.
#[test]
fn text_is_readable() {
    for name in ["dark", "light", "high-contrast", "colorblind"] {
        let (theme, _) = Theme::load(name, None, ColorDepth::TrueColor);
        let backgrounds = [Role::Text, Role::Panel, Role::Popup];
        for (role, label, _) in Role::ALL {
            let style = theme.style(role);
            let Some(fg) = style
                .fg
                .filter(|_| !matches!(role, Role::Rule | Role::Placeholder | Role::Graph))
            else {
                continue;
            };
            let on = match style.bg {
                Some(bg) => vec![bg],
                None => backgrounds
                    .iter()
                    .filter_map(|role| theme.style(*role).bg)
                    .collect(),
            };
            assert!(!on.is_empty(), "{name} {label}");
            for bg in on {
                let found = contrast(fg, bg);
                assert!(
                    found >= 4.5,
                    "{name}: {label} on {bg:?} has only {found:.2}"
                );
            }
        }
    }
}

/// The sixteen colors are the terminal's, so this takes those of xterm, of which one
/// has to be avoided: its blue on black.
#[test]
fn sixteen_colors_are_readable_on_black() {
    let (theme, _) = Theme::load("ansi16", None, ColorDepth::Ansi16);
    for (role, label, _) in Role::ALL {
        let style = theme.style(role);
        let fg = match style.fg {
            Some(Color::Black) | None => continue,
            Some(Color::Red) => (205, 0, 0),
            Some(Color::Green) => (0, 205, 0),
            Some(Color::Yellow) => (205, 205, 0),
            Some(Color::Blue) => (0, 0, 238),
            Some(Color::Magenta) => (205, 0, 205),
            Some(Color::Cyan) => (0, 205, 205),
            Some(Color::DarkGray) => (127, 127, 127),
            Some(Color::LightRed) => (255, 0, 0),
            Some(Color::LightBlue) => (92, 92, 255),
            Some(Color::Reset | Color::Gray | Color::White) => (229, 229, 229),
            Some(other) => panic!("{label}: how bright is {other:?}?"),
        };
        let found = super::color::contrast(fg, (0, 0, 0));
        assert!(found >= 3.5, "{label}: {fg:?} has only {found:.2}");
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    write(
        folder.path(),
        "mine",
        "inherits = \"light\"\ncolour = 1\n[palette]\nred = 3\n[ui]\ntexd = \"#ffffff\"\nmuted = \"nosuch\"\nrule = { fg = \"#010203\", shiny = true }\nerror = \"#ff0000\"\n",
    );
    let (theme, warnings) = Theme::load("mine", Some(folder.path()), ColorDepth::TrueColor);
    let origin = path.display();
    assert_eq!(
        warnings,
        [
            format!("{origin}:2: unknown key colour"),
            format!("{origin}:4: palette.red is no text"),
            format!("{origin}:6: unknown key ui.texd"),
            format!("{origin}:8: ui.rule must be a color or {{ fg, bg, bold, … }}"),
            "theme mine: line 7: unknown color \"nosuch\" for muted".to_owned(),
        ]
    );
    assert_eq!(theme.style(Role::Error).fg, Some(Color::Rgb(255, 0, 0)));
    let (light, _) = Theme::load("light", None, ColorDepth::TrueColor);
    assert_eq!(theme.style(Role::Text), light.style(Role::Text));
}

#[test]
fn themes_that_inherit_in_a_ring_end() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", "inherits = \"b\"");
    write(folder.path(), "b", "inherits = \"a\"");
    write(
        folder.path(),
        "dark",
        "inherits = \"dark\"\n[palette]\ntext = \"#010101\"",
    );
    let (_, warnings) = Theme::load("a", Some(folder.path()), ColorDepth::TrueColor);
    assert_eq!(warnings.len(), 1);
    let (dark, warnings) = Theme::load("dark", Some(folder.path()), ColorDepth::TrueColor);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(dark.style(Role::Text).fg, Some(Color::Rgb(1, 1, 1)));
    let (_, warnings) = Theme::load("nosuch", None, ColorDepth::TrueColor);
    assert!(warnings[0].contains("one of dark, light"), "{warnings:?}");
}

#[test]
fn colors_come_down_to_what_the_terminal_has() {
    for (rgb, index, name) in [
        ((255, 0, 0), 196, Color::LightRed),
        ((0, 0, 0), 16, Color::Black),
        ((128, 128, 128), 244, Color::DarkGray),
        ((250, 250, 250), 231, Color::White),
    ] {
        let color = Color::Rgb(rgb.0, rgb.1, rgb.2);
        assert_eq!(
            reduce(color, ColorDepth::Ansi256),
            Color::Indexed(index),
            "{rgb:?}"
        );
        let sixteen = reduce(color, ColorDepth::Ansi16);
        assert!(sixteen == name || rgb == (255, 0, 0), "{rgb:?} {sixteen:?}");
        assert_eq!(reduce(color, ColorDepth::TrueColor), color);
    }
    assert_eq!(reduce(Color::Reset, ColorDepth::Ansi16), Color::Reset);
}

#[test]
fn base16_schemes_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "b16",
        "inherits = \"dark\"\n[palette]\nbase05 = \"#abcdef\"\nbase0B = \"#00ff00\"\n",
    );
    let (theme, _) = Theme::load("b16", Some(folder.path()), ColorDepth::TrueColor);
    assert_eq!(
        theme.style(Role::Text).fg,
        Some(Color::Rgb(0xab, 0xcd, 0xef))
    );
    assert_eq!(theme.style(Role::Done).fg, Some(Color::Rgb(0, 255, 0)));
}

#[test]
fn a_category_has_the_color_it_was_given_as_far_as_it_can_be_read() {
    for name in ["dark", "light"] {
        let (theme, _) = Theme::load(name, None, ColorDepth::TrueColor);
        let rgb = |color: &str| match theme.category_color(color).unwrap().fg {
            Some(Color::Rgb(r, g, b)) => (r, g, b),
            other => panic!("{other:?}"),
        };
        assert_eq!(theme.category_color("red"), Some(theme.style(Role::Artist)));
        assert_eq!(theme.category_color("#12"), None);
        for color in ["#101010", "#7f0000", "#f0f0f0", "#80a0c0"] {
            let contrast = super::color::contrast(rgb(color), theme.background());
            assert!(contrast >= 4.5, "{name} {color} {contrast}");
        }
    }
    let (dark, _) = Theme::load("dark", None, ColorDepth::TrueColor);
    let as_given = dark.category_color("#80a0c0").unwrap();
    assert_eq!(as_given.fg, Some(Color::Rgb(0x80, 0xa0, 0xc0)));
}
