//! Links made by program: by public identifiers, by normalised names, and proposals for a person.
//!
//! Order of trust: one public identifier shared by few names; the same normalised name; likeness.
//! An identifier borne by many names (an office's, a house of parliament's) links nobody.

use super::similar::{Corpus, Name, candidate_pairs};
use super::{Grouping, Link, Match, Place, Resolver, Status, match_key};
use crate::day::Day;
use crate::error::Result;
use crate::store::Store;
use crate::subject::{Subject, public_ids};
use crate::text;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Author of links made here.
pub const AUTHOR: &str = "regie study";
/// Score from which links of likeness are made without asking; measured by [`super::quality`].
pub const AUTOMATIC_PERMILLE: u32 = 916;
/// An identifier borne by more names than this links nobody.
const ID_NAMES_MAX: usize = 3;
const BLOCK_MAX: usize = 2_000;

/// How to propose.
#[derive(Clone, Debug)]
pub struct ProposeOptions {
    /// The day written into the links.
    pub date: Day,
    /// Least score of a proposal, in thousandths.
    pub score_min_permille: u32,
    /// Most proposals.
    pub limit: usize,
}

impl ProposeOptions {
    /// Usual settings.
    pub fn new(date: Day) -> ProposeOptions {
        ProposeOptions { date, score_min_permille: 600, limit: 1_000 }
    }
}

/// An advertiser of the store with everything it calls itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Advertiser {
    platform: String,
    account: String,
    names: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Advertiser {
    /// Where a grouping puts it, the name it goes by, and its one public identifier or nothing.
    pub(super) fn placed(&self, resolver: &Resolver) -> (Place, String, String) {
        let name = first_name(self);
        let subject =
            Subject { platform: &self.platform, account: &self.account, name, payer: name, ids: "" };
        let id = if self.ids.len() == 1 { self.ids.iter().next().cloned() } else { None };
        (resolver.place(&subject), name.to_owned(), id.unwrap_or_default())
    }
    fn link(&self, entity: &str, status: Status, score: Option<u32>, evidence: String, date: Day) -> Link {
        let first = self.names.iter().next().cloned().unwrap_or_default();
        let (by, value) = if self.account.is_empty() {
            (Match::Name, first)
        } else {
            (Match::Account, self.account.clone())
        };
        Link {
            entity: entity.into(),
            by,
            platform: self.platform.clone(),
            value,
            from: None,
            until: None,
            kind: String::new(),
            status,
            score_permille: score,
            evidence,
            author: AUTHOR.into(),
            date: date.to_string(),
        }
    }
}

pub(super) fn advertisers(store: &Store) -> Result<Vec<Advertiser>> {
    let mut list: Vec<Advertiser> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    store.each_subject(|stored| {
        let s = &stored.subject;
        let name = if s.name.is_empty() { s.payer } else { s.name };
        if name.is_empty() {
            return Ok(());
        }
        let own = if s.account.is_empty() { format!("\0{name}") } else { s.account.to_owned() };
        let at = *known.entry((s.platform.to_owned(), own)).or_insert_with(|| {
            let (platform, account) = (s.platform.to_owned(), s.account.to_owned());
            list.push(Advertiser { platform, account, ..Advertiser::default() });
            list.len() - 1
        });
        list[at].names.insert(name.to_owned());
        let ids = public_ids(s.ids);
        // Several identifiers mean a joint advertiser, which belongs to none of them.
        if ids.len() == 1 {
            list[at].ids.extend(ids.into_iter().map(|i| format!("{}:{}", i.scheme, i.value)));
        }
        Ok(())
    })?;
    Ok(list)
}

struct Joined {
    parent: Vec<usize>,
}

impl Joined {
    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// Groups the store's advertisers by themselves: identifiers and sure names are accepted, the rest proposed.
pub fn group(store: &Store, date: Day, score_min_permille: u32) -> Result<Grouping> {
    let list = advertisers(store)?;
    let mut joined = Joined { parent: (0..list.len()).collect() };
    let mut evidence: Vec<Option<(u32, String)>> = vec![None; list.len()];
    let mut by_id: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, advertiser) in list.iter().enumerate() {
        advertiser.ids.iter().for_each(|id| by_id.entry(id).or_default().push(index));
    }
    for (id, members) in by_id.iter().filter(|(_, m)| m.len() > 1) {
        let names: BTreeSet<String> =
            members.iter().flat_map(|m| list[*m].names.iter().map(|n| text::name_key(n))).collect();
        if names.len() > ID_NAMES_MAX {
            continue;
        }
        for member in members {
            joined.join(members[0], *member);
            evidence[*member].get_or_insert((1000, format!("public identifier {id}")));
        }
    }
    let names: Vec<Name> =
        list.iter().map(|a| Name::new(a.names.iter().next().map_or("", String::as_str))).collect();
    let corpus = Corpus::new(names.iter());
    let mut weaker = Vec::new();
    for (a, b) in candidate_pairs(&names, &corpus, BLOCK_MAX) {
        let Some((kind, score)) = corpus.compare(&names[a], &names[b]) else { continue };
        let told = |other: usize| format!("{}: {:?}", kind.words(), first_name(&list[other]));
        if score >= AUTOMATIC_PERMILLE {
            joined.join(a, b);
            evidence[a].get_or_insert((score, told(b)));
            evidence[b].get_or_insert((score, told(a)));
        } else if score >= score_min_permille {
            weaker.push((score, a, b, kind));
        }
    }
    let mut grouping = Grouping {
        title: "Groups found by program; proposals wait for a person".into(),
        ..Grouping::default()
    };
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..list.len() {
        clusters.entry(joined.root(index)).or_default().push(index);
    }
    let label = |root: usize| first_name(&list[root]).to_owned();
    for (root, members) in clusters.iter().filter(|(_, m)| m.len() > 1) {
        for member in members {
            let (score, why) = evidence[*member].clone().unwrap_or((0, String::new()));
            grouping.links.push(list[*member].link(&label(*root), Status::Accepted, Some(score), why, date));
        }
    }
    weaker.sort_by_key(|w| (std::cmp::Reverse(w.0), w.1, w.2));
    let mut proposed = HashSet::new();
    for (score, a, b, kind) in weaker {
        let (ra, rb) = (joined.root(a), joined.root(b));
        if ra != rb && proposed.insert((ra.min(rb), ra.max(rb))) {
            let why = format!("{}: {:?}", kind.words(), first_name(&list[a]));
            grouping.links.push(list[b].link(&label(ra), Status::Proposed, Some(score), why, date));
        }
    }
    Ok(grouping)
}

fn first_name(advertiser: &Advertiser) -> &str {
    advertiser.names.iter().next().map_or("", String::as_str)
}

/// Which words members of which entities bear.
#[derive(Default)]
struct Vocabulary {
    bearers: HashMap<String, HashMap<u32, u32>>,
    unmapped: HashMap<String, u32>,
}

/// Stands for the residual entities, whose words speak for nobody.
const RESIDUAL: u32 = u32::MAX;

impl Vocabulary {
    /// Reads every advertiser; gives those no link speaks of, with their words.
    fn read<'a>(
        list: &'a [Advertiser],
        resolver: &Resolver,
    ) -> (Vocabulary, Vec<(&'a Advertiser, BTreeSet<String>)>) {
        let mut vocabulary = Vocabulary::default();
        let mut unmapped = Vec::new();
        for advertiser in list {
            let keys = advertiser.names.iter().map(|n| text::name_key(n));
            let words: BTreeSet<String> =
                keys.flat_map(|k| k.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
            let subject = Subject {
                platform: &advertiser.platform,
                account: &advertiser.account,
                name: first_name(advertiser),
                ..Subject::default()
            };
            match resolver.place(&subject) {
                Place::Always(entity) => {
                    let entity = if resolver.is_residual[entity as usize] { RESIDUAL } else { entity };
                    for word in words {
                        *vocabulary.bearers.entry(word).or_default().entry(entity).or_default() += 1;
                    }
                }
                Place::Dated(_) => {}
                Place::Nowhere => {
                    words.iter().for_each(|w| *vocabulary.unmapped.entry(w.clone()).or_default() += 1);
                    unmapped.push((advertiser, words));
                }
            }
        }
        (vocabulary, unmapped)
    }
    /// The one entity a word speaks for, and how many of its members bear it.
    fn speaks(&self, word: &str) -> Option<(u32, u32)> {
        let entities = self.bearers.get(word)?;
        let (entity, count) = entities.iter().max_by_key(|(e, c)| (**c, std::cmp::Reverse(**e)))?;
        let all: u32 = entities.values().sum();
        let is_common = self.unmapped.get(word).copied().unwrap_or(0) > count * 3;
        (*entity != RESIDUAL && *count >= 2 && count * 100 >= all * 95 && word.len() > 1 && !is_common)
            .then_some((*entity, *count))
    }
}

/// Proposes unmapped advertisers for the entities of a grouping, by words that only one entity's members
/// bear. Nothing that a person has decided about is proposed again.
pub fn propose(store: &Store, grouping: &Grouping, options: &ProposeOptions) -> Result<Grouping> {
    let resolver = grouping.resolver()?;
    let list = advertisers(store)?;
    let mut decided: HashSet<(Match, String)> = HashSet::new();
    for link in grouping.links.iter().filter(|l| l.status != Status::Proposed) {
        decided.insert((link.by, match_key(link.by, &link.value)));
    }
    let (vocabulary, unmapped) = Vocabulary::read(&list, &resolver);
    let mut links = Vec::new();
    for (advertiser, words) in unmapped {
        let spoken: Vec<(&String, u32, u32)> =
            words.iter().filter_map(|w| vocabulary.speaks(w).map(|(e, c)| (w, e, c))).collect();
        let Some((_, entity, _)) = spoken.first().copied() else { continue };
        let by = if advertiser.account.is_empty() { Match::Name } else { Match::Account };
        let value = if advertiser.account.is_empty() { first_name(advertiser) } else { &advertiser.account };
        if spoken.iter().any(|s| s.1 != entity) || decided.contains(&(by, match_key(by, value))) {
            continue;
        }
        let opens = text::name_key(first_name(advertiser))
            .split(' ')
            .next()
            .is_some_and(|w| spoken.iter().any(|s| s.0 == w));
        let score = 500 + (400 * spoken.len() / words.len().max(1)) as u32 + if opens { 100 } else { 0 };
        if score < options.score_min_permille {
            continue;
        }
        let shared: Vec<String> = spoken.iter().map(|(w, _, c)| format!("\"{w}\" (in {c})")).collect();
        let name = &resolver.entities[entity as usize];
        let why = format!(
            "{:?} shares with members of {name} and nobody else: {}",
            first_name(advertiser),
            shared.join(", ")
        );
        links.push(advertiser.link(name, Status::Proposed, Some(score.min(1000)), why, options.date));
    }
    links.sort_by(|a, b| {
        b.score_permille
            .cmp(&a.score_permille)
            .then_with(|| (&a.entity, &a.value).cmp(&(&b.entity, &b.value)))
    });
    links.truncate(options.limit);
    let title = format!("Proposals for: {}", grouping.title);
    Ok(Grouping {
        title,
        cite: grouping.cite.clone(),
        residual: grouping.residual.clone(),
        unmapped: grouping.unmapped,
        links,
    })
}
