//! The canonical form of a query: conjunctive normal form as an s-expression, the
//! same for every way to write the same thing.
//!
//! The normal form of a hostile query is exponential in its length, so its size is
//! capped; beyond the cap the tree itself is printed, flattened and sorted.

use std::collections::BTreeSet;

use super::{
    print,
    tree::{Items, Node, TagOrigin, Term, Test},
};

/// Leaves of all clauses together.
const MAX_LEAVES: usize = 8192;

/// A leaf's printed text, negated or not.
type Clause = BTreeSet<String>;

/// The canonical form of a tree and of what stands beside it (order, limit).
pub fn print(root: Option<&Node>, modifiers: &[Term]) -> String {
    let mut parts: BTreeSet<String> = modifiers.iter().map(leaf).collect();
    if let Some(root) = root {
        match clauses(root, false) {
            // A clause that nothing can meet.
            Some(clauses) if clauses.contains(&Clause::new()) => return "none".to_owned(),
            Some(clauses) => parts.extend(clauses.into_iter().map(|clause| list("or", clause))),
            None => match flat(root, false) {
                Flat::And(children) => parts.extend(children),
                other => {
                    parts.insert(other.print());
                }
            },
        }
    }
    if parts.is_empty() {
        return "all".to_owned();
    }
    list("and", parts)
}

fn list(head: &str, parts: BTreeSet<String>) -> String {
    let mut parts: Vec<String> = parts.into_iter().collect();
    if parts.len() == 1 {
        return parts.remove(0);
    }
    format!("({head} {})", parts.join(" "))
}

/// The clauses of a node or its negation, or `None` when they are too many.
fn clauses(node: &Node, is_negated: bool) -> Option<BTreeSet<Clause>> {
    match (node, is_negated) {
        (Node::Term(term), _) => Some(BTreeSet::from([Clause::from([literal(term, is_negated)])])),
        (Node::Not(node), _) => clauses(node, !is_negated),
        (Node::And(nodes), false) | (Node::Or(nodes), true) => {
            let mut all = BTreeSet::new();
            for node in nodes {
                all.extend(clauses(node, is_negated)?);
                check(&all)?;
            }
            Some(all)
        }
        (Node::Or(nodes), false) | (Node::And(nodes), true) => {
            let mut product = BTreeSet::from([Clause::new()]);
            for node in nodes {
                let factor = clauses(node, is_negated)?;
                if product.len() * factor.len() > MAX_LEAVES {
                    return None;
                }
                product = product
                    .iter()
                    .flat_map(|left| {
                        factor
                            .iter()
                            .map(move |right| left.union(right).cloned().collect::<Clause>())
                    })
                    .collect();
                check(&product)?;
            }
            Some(product)
        }
    }
}

fn check(clauses: &BTreeSet<Clause>) -> Option<()> {
    (clauses.iter().map(BTreeSet::len).sum::<usize>() <= MAX_LEAVES).then_some(())
}

enum Flat {
    Leaf(String),
    And(BTreeSet<String>),
    Or(BTreeSet<String>),
}

impl Flat {
    fn print(self) -> String {
        match self {
            Self::Leaf(text) => text,
            Self::And(parts) => list("and", parts),
            Self::Or(parts) => list("or", parts),
        }
    }
}

/// The tree with negations at its leaves and no list inside a list of its kind.
fn flat(node: &Node, is_negated: bool) -> Flat {
    match (node, is_negated) {
        (Node::Term(term), _) => Flat::Leaf(literal(term, is_negated)),
        (Node::Not(node), _) => flat(node, !is_negated),
        (Node::And(nodes), false) | (Node::Or(nodes), true) => {
            let mut parts = BTreeSet::new();
            for node in nodes {
                match flat(node, is_negated) {
                    Flat::And(children) => parts.extend(children),
                    other => {
                        parts.insert(other.print());
                    }
                }
            }
            Flat::And(parts)
        }
        (Node::Or(nodes), false) | (Node::And(nodes), true) => {
            let mut parts = BTreeSet::new();
            for node in nodes {
                match flat(node, is_negated) {
                    Flat::Or(children) => parts.extend(children),
                    other => {
                        parts.insert(other.print());
                    }
                }
            }
            Flat::Or(parts)
        }
    }
}

fn literal(term: &Term, is_negated: bool) -> String {
    let leaf = leaf(term);
    if is_negated {
        format!("(not {leaf})")
    } else {
        leaf
    }
}

/// One term: `tag`, `category:tag`, `(wildcard x*)`, `key:value`.
pub fn leaf(term: &Term) -> String {
    let named = |category: &Option<String>, value: &str| match category {
        Some(category) => format!("{category}:{value}"),
        None => value.to_owned(),
    };
    match &term.test {
        Test::Tag {
            category,
            value,
            origin,
        } => {
            let forced = if *origin == TagOrigin::Forced {
                "tag:"
            } else {
                ""
            };
            format!("{forced}{}", named(category, value))
        }
        Test::Wildcard {
            category, pattern, ..
        } => format!("(wildcard {})", named(category, pattern)),
        Test::Key {
            key,
            category,
            value,
        } => {
            let name = match category {
                Some(category) => format!("count.{category}"),
                None => key.name().to_owned(),
            };
            if value.items == Items::Nothing {
                return format!("{name}:");
            }
            if value.is_quoted || value.raw.contains(char::is_whitespace) {
                let mut leaf = format!("{name}:");
                print::quote(&value.raw, &mut leaf);
                leaf
            } else {
                format!("{name}:{}", value.raw)
            }
        }
    }
}
