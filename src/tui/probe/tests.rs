//! Answers of terminals and what is made of them.

use super::*;
use crate::tui::reader::parse::{Parser, Said};

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(|name| {
        let mut known = variables.iter().chain(&[("LANG", "C.UTF-8")]);
        known
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn replies(bytes: &str) -> Replies {
    let mut replies = Replies::default();
    Parser::default().feed(bytes.as_bytes(), &mut |said| match said {
        Said::Answer(answer) => replies.hear(&answer),
        Said::Status => replies.hear(b"\x1b[0n"),
        Said::Event(event) => panic!("typed: {event:?}"),
    });
    replies
}

const KITTY_OK: &str = "\x1b_Gi=31;OK\x1b\\";
const DA1: &str = "\x1b[?62;22c";
const DA1_SIXEL: &str = "\x1b[?62;4;22c";

#[test]
fn graphics_follow_the_answers() {
    let version = |name: &str| format!("\x1bP>|{name}\x1b\\");
    for (what, answers, variables, expected) in [
        (
            "kitty",
            format!("{KITTY_OK}{}{DA1}", version("kitty(0.41.1)")),
            vec![],
            Graphics::Kitty,
        ),
        (
            "old kitty",
            format!("{KITTY_OK}{}{DA1}", version("kitty(0.26.5)")),
            vec![],
            Graphics::KittyDirect,
        ),
        (
            "kitty that refuses",
            format!("{}{DA1}", version("kitty(0.41.1)")),
            vec![],
            Graphics::Halfblocks,
        ),
        (
            "ghostty",
            format!("{KITTY_OK}{}{DA1}", version("ghostty 1.1.3")),
            vec![],
            Graphics::Kitty,
        ),
        (
            "wezterm",
            format!("{KITTY_OK}{}{DA1_SIXEL}", version("WezTerm 20240203")),
            vec![],
            Graphics::Iterm2,
        ),
        (
            "iterm2",
            format!("{}{DA1_SIXEL}", version("iTerm2 3.5.0")),
            vec![],
            Graphics::Iterm2,
        ),
        (
            "iterm2 over ssh",
            DA1.to_owned(),
            vec![("LC_TERMINAL", "iTerm2")],
            Graphics::Iterm2,
        ),
        (
            "konsole",
            format!("{KITTY_OK}{}{DA1_SIXEL}", version("Konsole 23.08")),
            vec![],
            Graphics::KittyDirect,
        ),
        (
            "foot",
            format!("{}{DA1_SIXEL}", version("foot(1.13.1)")),
            vec![],
            Graphics::Sixel,
        ),
        ("mlterm", DA1_SIXEL.to_owned(), vec![], Graphics::Sixel),
        (
            "unknown with kitty",
            format!("{KITTY_OK}{DA1}"),
            vec![],
            Graphics::Halfblocks,
        ),
        ("plain", DA1.to_owned(), vec![], Graphics::Halfblocks),
        ("silent", String::new(), vec![], Graphics::Halfblocks),
        (
            "screen",
            DA1_SIXEL.to_owned(),
            vec![("STY", "1.x")],
            Graphics::Halfblocks,
        ),
        (
            "tmux, sixel",
            DA1_SIXEL.to_owned(),
            vec![("TMUX", "/tmp/x")],
            Graphics::Sixel,
        ),
        (
            "no UTF-8",
            DA1_SIXEL.to_owned(),
            vec![("LANG", "C")],
            Graphics::None,
        ),
    ] {
        let decided = decide(
            &replies(&answers),
            &environment(&variables),
            Window::default(),
            None,
        );
        assert_eq!(decided.graphics, expected, "{what}: {}", decided.reason);
        let forced = decide(
            &replies(&answers),
            &environment(&variables),
            Window::default(),
            Some(Graphics::Sixel),
        );
        assert_eq!(forced.graphics, Graphics::Sixel, "{what}");
    }
}

#[test]
fn tmux_needs_pass_through_and_a_new_kitty_around_it() {
    let inside = environment(&[("TMUX", "/tmp/x"), ("TERM", "tmux-256color")]);
    for (passes_through, outer, expected) in [
        (true, "kitty(0.41.1)", Graphics::Kitty),
        (false, "kitty(0.41.1)", Graphics::Halfblocks),
        (true, "kitty(0.26.5)", Graphics::Halfblocks),
        (true, "foot(1.13.1)", Graphics::Halfblocks),
        (true, "", Graphics::Halfblocks),
    ] {
        let answers = Replies {
            tmux: Some(Tmux {
                passes_through,
                outer: outer.to_owned(),
            }),
            ..replies(&format!("{KITTY_OK}{DA1}"))
        };
        let decided = decide(&answers, &inside, Window::default(), None);
        assert_eq!(decided.graphics, expected, "{passes_through} {outer}");
    }
}

#[test]
fn answers_say_what_the_terminal_can() {
    let answers = replies(&format!(
        "{KITTY_OK}\x1b[6;20;10t\x1b]11;rgb:ffff/0000/8080\x07\x1b[0n"
    ));
    assert_eq!(answers.cell, Some((10, 20)));
    assert_eq!(answers.background, Some((255, 0, 128)));
    assert!(answers.kitty && answers.status && !answers.are_complete());
    let answers = replies("\x1b[?64;4c");
    assert!(answers.are_complete() && answers.sixel);
    let answers = replies("\x1b[?4;4;99999999999c");
    assert!(answers.are_complete() && !answers.sixel);
    // tmux is quick, the terminal around it is not.
    let mut answers = Replies {
        is_complete: true,
        tmux: Some(Tmux {
            passes_through: true,
            outer: String::new(),
        }),
        ..Replies::default()
    };
    assert!(!answers.are_complete());
    answers.hear(b"\x1b[0n");
    assert!(answers.are_complete());
}

#[test]
fn pictures_are_paced_by_whoever_answers() {
    let pace = |answers: &str, variables: &[(&str, &str)]| {
        let environment = environment(variables);
        decide(&replies(answers), &environment, Window::default(), None).pace()
    };
    let ssh = ("SSH_TTY", "/dev/pts/1");
    assert_eq!(pace("\x1b[0n", &[ssh]), Pace::Acknowledged(STATUS));
    assert_eq!(pace(DA1, &[ssh]), Pace::Fixed(DEFAULT_RATE));
    assert_eq!(pace(DA1, &[]), Pace::Unlimited);
    let tmux = ("TMUX", "/tmp/x");
    let through = Pace::Acknowledged(STATUS_THROUGH_TMUX);
    assert_eq!(pace("\x1b[0n", &[ssh, tmux]), through);
    for (depth, question) in [(1, STATUS_THROUGH_TMUX), (2, STATUS_THROUGH_TWO_TMUX)] {
        assert_eq!(through_tmux(STATUS.to_vec(), depth), question);
    }
}

#[test]
fn nonsense_answers_do_no_harm() {
    for answer in [
        "\x1b[6;0;0t",
        "\x1b[6;65535;65535t",
        "\x1b[6;99999;1t",
        "\x1b[6t",
        "\x1b[?c",
        "\x1b]11;rgb:zz/1/2\x1b\\",
        "\x1b]11;rgb:\x1b\\",
        "\x1bP>|\x1b\\",
        "\x1b_G\x1b\\",
    ] {
        let decided = decide(&replies(answer), &environment(&[]), Window::default(), None);
        assert_eq!(decided.cell, DEFAULT_CELL, "{answer:?}");
    }
}

#[test]
fn colors_are_counted_carefully() {
    for (variables, answers, expected) in [
        (vec![("TERM", "xterm-256color")], DA1, ColorDepth::Ansi256),
        (vec![("TERM", "xterm")], DA1, ColorDepth::Ansi16),
        (
            vec![("TERM", "xterm")],
            "\x1bP1$r0;48:2::1:2:3m\x1b\\",
            ColorDepth::TrueColor,
        ),
        (
            vec![("TERM", "xterm"), ("COLORTERM", "truecolor")],
            DA1,
            ColorDepth::TrueColor,
        ),
        (
            vec![("TERM", "xterm-kitty")],
            "\x1bP>|kitty(0.26.5)\x1b\\",
            ColorDepth::TrueColor,
        ),
        (
            vec![("COLORTERM", "truecolor"), ("NO_COLOR", "1")],
            DA1,
            ColorDepth::Monochrome,
        ),
        (
            vec![("TERM", "xterm-256color"), ("NO_COLOR", "")],
            DA1,
            ColorDepth::Ansi256,
        ),
    ] {
        let decided = decide(
            &replies(answers),
            &environment(&variables),
            Window::default(),
            None,
        );
        assert_eq!(decided.colors, expected, "{variables:?}");
    }
}

#[test]
fn another_font_size_is_another_cell() {
    let window = |width, height| Window {
        columns: 100,
        rows: 50,
        width,
        height,
    };
    let replies = Replies {
        cell: Some((20, 40)),
        ..Replies::default()
    };
    // The kernel counts half the pixels here.
    let environment = Environment::default();
    let mut decided = decide(&replies, &environment, window(1000, 1000), None);
    assert_eq!(decided.cell, (20, 40));
    decided.resize(window(1500, 1600));
    assert_eq!(decided.cell, (30, 64));
    decided.resize(window(0, 0));
    assert_eq!(decided.cell, (30, 64));
}

#[test]
fn tmux_may_not_know_the_terminal_around_it_yet() {
    for (text, passes_through, outer) in [
        ("1 kitty(0.41.1)\n", true, "kitty(0.41.1)"),
        ("1 \n", true, ""),
        ("on\n", true, ""),
        ("0 kitty(0.41.1)\n", false, "kitty(0.41.1)"),
        ("", false, ""),
    ] {
        let expected = Tmux {
            passes_through,
            outer: outer.to_owned(),
        };
        assert_eq!(Tmux::read(text), expected, "{text:?}");
    }
}
