//! What queries mean: tables of inputs with their canonical forms, and properties.

use proptest::prelude::*;

use super::*;

fn explain(text: &str) -> String {
    Query::parse(text, &BuiltIn).map_or_else(|_| "none".to_owned(), |query| query.canonical())
}

fn check(cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        assert_eq!(explain(input), *expected, "{input:?}");
    }
}

#[test]
fn tags_and_white_space() {
    check(&[
        ("", "all"),
        (" \t\u{3000}", "all"),
        ("a", "a"),
        ("A", "a"),
        ("foo_(bar)", "foo_(bar)"),
        ("(foo_(bar))", "foo_(bar)"),
        ("(foo_(bar_(baz)))", "foo_(bar_(baz))"),
        (";)", ";)"),
        ("(;))", ";)"),
        ("(:))", ":)"),
        ("(9)", "9"),
        (" ( ( a ) ) ", "a"),
        ("a\u{3000}b", "(and a b)"),
        ("ＦＯＯ__bar", "foo_bar"),
        ("foo)", "foo)"),
        ("foo*)", "(wildcard foo*))"),
        ("(foo*)", "(wildcard foo*)"),
        ("(a or holo_(x))", "(or a holo_(x))"),
    ]);
}

#[test]
fn and_or_not() {
    check(&[
        ("a b", "(and a b)"),
        ("a AND b", "(and a b)"),
        ("a or b", "(or a b)"),
        ("a OR b or c", "(or a b c)"),
        ("((a or b) or c) or d", "(or a b c d)"),
        ("(a) (b)", "(and a b)"),
        ("(a b)c", "none"),
        ("a (b (c))", "(and a b c)"),
        ("-a", "(not a)"),
        ("- a", "(not a)"),
        ("a -b", "(and (not b) a)"),
        ("a a", "a"),
        ("a b or c d", "(and (or a c) (or a d) (or b c) (or b d))"),
        ("a or (b c)", "(and (or a b) (or a c))"),
        ("-(a b)", "(or (not a) (not b))"),
        ("-(a or b)", "(and (not a) (not b))"),
        ("-(-a)", "a"),
        ("-(-(-a))", "(not a)"),
        ("a -(-(b -(-c))) d", "(and a b c d)"),
        (
            "-(a -(b -(c d)))",
            "(and (or (not a) (not c) (not d)) (or (not a) b))",
        ),
        (
            "(a b) or (c d) or (e f)",
            "(and (or a c e) (or a c f) (or a d e) (or a d f) (or b c e) (or b c f) (or b d e) (or b d f))",
        ),
        ("FOO*", "(wildcard foo*)"),
        ("* b", "(and (wildcard *) b)"),
        ("a -*b*", "(and (not (wildcard *b*)) a)"),
        ("orange android", "(and android orange)"),
        ("a or(b", "(and a or(b)"),
    ]);
}

#[test]
fn optional_terms_form_one_alternative_of_their_list() {
    check(&[
        ("~a", "a"),
        ("~(~(~a))", "a"),
        ("~(-a)", "(not a)"),
        ("~a ~b", "(or a b)"),
        ("a ~b", "(and a b)"),
        ("a ~b ~c -d", "(and (not d) (or b c) a)"),
        ("~a and ~b", "(and a b)"),
        ("~a ~b and ~c ~d", "(and (or a b) (or c d))"),
        ("~a ~b or ~c ~d", "(or a b c d)"),
        ("(~a) ~b ~c", "(and (or b c) a)"),
        ("~a (~b ~c)", "(and (or b c) a)"),
        ("~(a b) ~(c d)", "(and (or a c) (or a d) (or b c) (or b d))"),
        ("~a ~*", "(or (wildcard *) a)"),
    ]);
}

#[test]
fn what_does_not_parse() {
    for input in [
        "(",
        ")",
        "-",
        "~",
        "(a",
        ")a",
        "a )b",
        "-~a",
        "~-a",
        "~~a",
        "--a",
        "and",
        "-and",
        "~or",
        "or",
        "a and",
        "a or",
        "and a",
        "or a",
        "a or or b",
        "a -",
        "a ~",
        "(a b",
        "(a (b)",
        "()",
        "a ()",
        "(a or)",
        "source:\"foo",
        "source:'foo",
        "\"foo",
        "order:(b)",
        "-order:new",
        "a or order:id",
        "width:wide",
        "caption:/(/",
        "caption:/a",
        "rating:x",
        "limit:many",
        "system:nonsense",
    ] {
        assert!(Query::parse(input, &BuiltIn).is_err(), "{input:?}");
    }
}

#[test]
fn keys_values_and_quotes() {
    check(&[
        ("source:foo", "source:foo"),
        ("SOURCE:Foo", "source:Foo"),
        ("~source:a ~source:b", "(or source:a source:b)"),
        ("source:\"foo bar\"", "source:\"foo bar\""),
        ("source:'foo bar'", "source:\"foo bar\""),
        ("source:foo\\ bar", "source:\"foo bar\""),
        ("source:foobar\"(", "source:foobar\"("),
        ("source:\"\"", "source:\"\""),
        ("source:", "source:none"),
        (
            "source:\"don't say \\\"lazy\\\" okay\"",
            "source:\"don't say \\\"lazy\\\" okay\"",
        ),
        ("(a (source:\"foo)bar\"))", "(and a source:\"foo)bar\")"),
        ("(source:(a)", "source:(a"),
        ("source:(a)", "source:(a)"),
        ("(source:a)", "source:a"),
        ("re:zero", "re:zero"),
        (":3", ":3"),
        ("tag:order:asc", "tag:order:asc"),
        ("tag:foo", "foo"),
        ("tag:foo*", "(wildcard foo*)"),
        ("\"or\"", "or"),
        ("\"Spice and Wolf\"", "spice_and_wolf"),
        ("char:holo", "character:holo"),
        ("copy:\"spice and wolf\"", "copyright:spice_and_wolf"),
        ("(char:holo_(x))", "character:holo_(x)"),
        ("artist:*x", "(wildcard artist:*x)"),
        (".png", "ext:png"),
        (".live", ".live"),
        ("w:>=1920", "width:>=1920"),
        ("width-min:1000", "width:>=1000"),
        ("danbooru:6059", "post:danbooru:6059"),
        ("pixiv_id:1,2", "post:pixiv:1,pixiv:2"),
        ("metadata:missing", "needs:metadata"),
        ("count.artist:>1", "count.artist:>1"),
        ("arttags:0", "count.artist:0"),
        ("order:new limit:100", "(and limit:100 order:new)"),
        ("(a order:id)", "(and a order:id)"),
        ("order:id order:new", "order:new"),
        ("all:", "all:"),
        ("path:../x", "path:../x"),
        (
            "caption:/\\bred (car|bus)\\b/i",
            "caption:\"/\\bred (car|bus)\\b/i\"",
        ),
        ("system:num tags > 4", "tagcount:>4"),
        ("system:everything", "all"),
        ("system:everything\na", "a"),
        ("-system:everything", "none"),
        ("character:\"a*b\"", "character:a*b"),
        ("source:\"a\\\\\"", "source:\"a\\\\\""),
        ("system:width < 200", "width:<200"),
        ("system:number of character tags > 2", "count.character:>2"),
    ]);
}

#[test]
fn one_query_of_each_kind_parses() {
    for input in [
        "1girl blue_hair",
        "1girl -sketch -monochrome",
        "holo_(spice_and_wolf)",
        "character:holo source:danbooru .png -sketch",
        "blue_*  *_hair  b*g",
        "direct:animal",
        "width:>=1920 height:1080..2160",
        "ratio:16:9",
        "filesize:1mb filesize:1048576b filesize:..200kb",
        "tagcount:0 or tagcount:>50",
        "id:12ab,34cd",
        "rating:g,s rating:sfw -rating:e",
        "date:2025-03 date:>=2025-01-15 age:<2w imported:today modified:>7_days_ago",
        "has:parent has:mask:person -has:caption",
        "type:mask mask:person of:abc123",
        "project:\"sdxl set\" order:project",
        "similar:abc123,d<=10,by=phash",
        "dup:near needs:review",
        "caption:/\\bred (car|bus)\\b/i",
        "path:2024/*/raw/*.png",
        "text:\"natural lighting\"",
        "post:danbooru:6059  pixiv:131010854",
    ] {
        if let Err(error) = Query::parse(input, &BuiltIn) {
            panic!("{input:?}: {error}");
        }
    }
}

#[test]
fn errors_say_where() {
    for (input, message, start) in [
        ("(a", "unclosed \"(\"", 0),
        ("a order:(b)", "order takes a name", 2),
        ("a or", "\"or\" has nothing to join", 2),
        ("a )", "unexpected \")\"", 2),
        ("a --b", "two operators in a row", 2),
        ("a source:\"b", "unclosed quote", 9),
    ] {
        let error = Query::parse(input, &BuiltIn).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.span.start),
            (message, start),
            "{input:?}"
        );
    }
    let error = Query::parse("(a", &BuiltIn).unwrap_err();
    assert_eq!(error.to_string(), "unclosed \"(\" at 0");
}

#[test]
fn the_word_being_typed_is_a_prefix() {
    for (input, expected) in [
        ("a blu", "(and (wildcard blu*) a)"),
        ("a blu ", "(and a blu)"),
        ("blu*", "(wildcard blu*)"),
        ("-char:ho", "(not (wildcard character:ho*))"),
        ("a or", "(and (wildcard or*) a)"),
        ("rating:s", "rating:s"),
        ("\"blu\"", "blu"),
    ] {
        let query = Query::parse_typing(input, &BuiltIn).unwrap();
        assert_eq!(query.canonical(), expected, "{input:?}");
    }
}

#[test]
fn hostile_queries_are_bounded() {
    let many = vec!["a"; 257].join(" ");
    assert!(Query::parse(&many, &BuiltIn).is_err());
    let deep = format!("{}a{}", "(".repeat(33), ")".repeat(33));
    assert!(Query::parse(&deep, &BuiltIn).is_err());
    let deep = format!("{}a{}", "(".repeat(32), ")".repeat(32));
    assert_eq!(explain(&deep), "a");
    assert!(Query::parse(&"x".repeat(4097), &BuiltIn).is_err());
    // 2^100 clauses.
    let hostile: Vec<String> = (0..100).map(|n| format!("(a{n} b{n})")).collect();
    let printed = explain(&hostile.join(" or "));
    assert!(printed.starts_with("(or (and a0 b0) "), "{printed}");
    assert!(printed.len() < 4096);
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = Query::parse(&text, &BuiltIn).map(|query| query.canonical());
        let _ = Query::parse_typing(&text, &BuiltIn).map(|query| query.canonical());
    }

    #[test]
    fn no_sequence_of_tokens_panics(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "-", "~", " ", "or", "and", "a", "b*", ":)", "\"", "'", "\\", "/", "system:",
                "tag:", "char:", "order:", "limit:5", "width:", ">=", "..", "1", "similar:", ",",
                "d<=", "date:", "2025-", "日", "\u{3000}", "number of ", " tags > 2", ".png", "/i",
            ]),
            0..24,
        )
    ) {
        let text = tokens.concat();
        if let Err(error) = Query::parse(&text, &BuiltIn) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
        }
        let _ = Query::parse_typing(&text, &BuiltIn).map(|query| query.canonical());
    }

    #[test]
    fn what_is_printed_means_the_same(
        tokens in prop::collection::vec(
            prop::sample::select(vec!["(", ")", "-", "~", " ", "or ", "and ", "a ", "b* ", "rating:g "]),
            0..16,
        )
    ) {
        if let Ok(query) = Query::parse(&tokens.concat(), &BuiltIn) {
            let again = Query::parse(&query.to_string(), &BuiltIn).unwrap();
            prop_assert_eq!(again.canonical(), query.canonical());
            prop_assert_eq!(again, query);
        }
    }
}
