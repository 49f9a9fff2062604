//! `regie record render`: a version that was shown, from a log or a mirror alone, as one page that needs nothing else.
//!
//! Every leaf that it rests on is checked against the signed checkpoint; every object against its commitment. Refuses a log that
//! is not signed by whom the caller trusts. The creative stays in a sandbox and loads nothing from elsewhere.

use super::{Cli, progress};
use crate::http::frames;
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, PreEscaped, html};
use regie_model::{AdId, VersionId, creative::Creative};
use regie_record::{
    commit::Sha256Hash,
    leaf::Leaf,
    log::{
        Hash, Policy,
        hash::leaf_hash,
        mirror::for_each_leaf,
        read::{CHECKPOINT_PATH, Source, object_path},
        tree::Frontier,
    },
    shown::{ShownVersion, asset, shown},
};
use serde_json::json;
use std::{cell::RefCell, path::Path, process::ExitCode};

/// Runs it.
///
/// # Errors
/// A log that is not signed or does not fit its checkpoint; a version that no closed day has shown.
pub fn run(
    cli: &Cli,
    source: &mut dyn Source,
    policy: &Policy,
    (ad, version): (AdId, VersionId),
    to: &Path,
) -> Result<ExitCode> {
    let bytes = source.get(CHECKPOINT_PATH)?.context("there is no checkpoint")?;
    let (checkpoint, _, trust) = policy.judge(&bytes)?;
    let bar = progress::bar("reading", cli.json);
    bar.set_length(checkpoint.size);
    let (mut leaves, mut frontier) = (Vec::new(), Frontier::default());
    for_each_leaf(source, checkpoint.size, &mut |index, bytes| {
        frontier.push(leaf_hash(bytes));
        bar.set_position(index);
        if let Ok(leaf) = Leaf::parse(bytes)
            && leaf.ad == ad
        {
            leaves.push((index, leaf));
        }
        true
    })?;
    bar.finish_and_clear();
    if frontier.root() != checkpoint.root {
        bail!("the entries do not fit the signed checkpoint: `regie verify` says more");
    }
    let source = RefCell::new(source);
    let object = |hash: &Sha256Hash| source.borrow_mut().get(&object_path(Hash(hash.0))).ok().flatten();
    let found = shown(&leaves, &object, version)?;
    let Some(creative) = &found.creative else { bail!("what {version} of {ad} showed is withheld") };
    let pictures = creative.assets().into_iter().filter_map(|picture| {
        let bytes = asset(&leaves, &object, picture.hash)?;
        let address = format!("/v1/assets/{}", picture.hash);
        Some((address, format!("data:{};base64,{}", picture.media_type, STANDARD.encode(bytes))))
    });
    let mut document = frames::document(creative, "#", "record", 0);
    for (address, data) in pictures {
        document = document.replace(&address, &data);
    }
    let page = page(ad, version, &checkpoint.origin, creative, &found, &document);
    std::fs::write(to, page).with_context(|| format!("cannot write {}", to.display()))?;
    let impressions: u64 = found.days.iter().map(|day| day.line.impressions_count).sum();
    if cli.json {
        println!(
            "{}",
            json!({ "ad": ad, "version": version, "creative": found.hash, "elements": found.elements, "days": found.days,
                "impressions": impressions, "witnessed": trust.is_witnessed(), "to": to })
        );
    } else {
        println!(
            "{version} of {ad}: shown {impressions} times on {} days, as it was. Written to {}.",
            found.days.len(),
            to.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn page(
    ad: AdId,
    version: VersionId,
    origin: &str,
    creative: &Creative,
    found: &ShownVersion,
    document: &str,
) -> String {
    let size = creative.size();
    let sandbox = if creative.kind() == "html" { "allow-scripts" } else { "" };
    let title = format!("{version} of {ad}");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8"; title { (title) }
                meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                style { (PreEscaped("body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}td,th{padding:.2rem .6rem;text-align:left}code{overflow-wrap:anywhere}iframe{border:1px solid #999}")) }
            }
            body {
                h1 { (title) }
                p { "From the public record " code { (origin) } " alone. BLAKE3 of what was shown: " code { (found.hash) } "." }
                iframe sandbox=(sandbox) width=(size.map_or(360, |s| s.width)) height=(size.map_or(300, |s| s.height)) srcdoc=(document) title=(title) {}
                @if !found.elements.is_empty() { h2 { "Made of" } ul { @for words in &found.elements { li { (words) } } } }
                h2 { "Shown on" }
                table {
                    thead { tr { th { "Day" } th { "Times" } th { "Spend, 10^-9 of a unit" } th { "Entry" } th { "Line of the manifest" } } }
                    tbody { @for day in &found.days { tr {
                        td { (day.day) } td { (day.line.impressions_count) } td { (day.line.spend_nanos) } td { (day.entry_index) }
                        td { (day.index + 1) " of " (day.lines_count) " under " code { (day.manifest) } }
                    } } }
                }
            }
        }
    }
    .into_string()
}
