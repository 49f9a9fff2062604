//! `regie bench --pages`: the time to the first byte and the weight of every page, on the demo's data, each beside its bar.
//!
//! Starts the demo with its visitors, signs in as its owner, follows links to one page of each shape, and asks for each
//! several times over one connection; the median counts. What one loads besides (style, script) is cached for ever.

use super::{Bar, Row, setup::Cleanup};
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The first byte comes within so many milliseconds.
const FIRST_BYTE_MS: f64 = 50.0;
/// A page weighs at most so many bytes.
const WEIGHT_BYTES: usize = 200_000;
/// How long the visitors walk before anything is measured.
const WARM: Duration = Duration::from_secs(10);
/// Requests for each page.
const ROUNDS: usize = 9;
/// Pages at most.
const PAGES_MAX: usize = 160;

/// The demo, ended with the measurement.
struct Demo {
    child: Child,
    url: String,
    sign_in: String,
}
impl Demo {
    fn start(folder: &std::path::Path, visitors: &str) -> Result<Demo> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--json", "--folder"])
            .arg(folder)
            .args(["demo", "--port", "0", "--visitors", visitors])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the demo")?;
        let output = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let told: Value =
            serde_json::from_str(&line).map_err(|_| anyhow!("the demo did not start: {line}"))?;
        let text = |name: &str| told[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok(Demo { url: text("url")?, sign_in: text("sign_in")?, child })
    }
}
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer.
struct Answer {
    status: u16,
    first_byte_ms: f64,
    is_page: bool,
    cookie: Option<String>,
    body: String,
}
struct Reader {
    agent: ureq::Agent,
    cookie: String,
}
impl Reader {
    fn get(&self, url: &str) -> Result<Answer> {
        let start = Instant::now();
        let mut answer =
            self.agent.get(url).header("cookie", &self.cookie).header("accept", "text/html").call()?;
        let first_byte_ms = start.elapsed().as_secs_f64() * 1e3;
        let head = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let is_page = head("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let cookie = head("set-cookie").and_then(|set| set.split(';').next().map(str::to_owned));
        let status = answer.status().as_u16();
        let body = if is_page { answer.body_mut().read_to_string()? } else { String::new() };
        Ok(Answer { status, first_byte_ms, is_page, cookie, body })
    }
}

/// Measures; `step` hears which page is asked for.
///
/// # Errors
/// When the demo does not come up, or a page that was linked to cannot be had.
pub fn measure(visitors: f64, step: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("regie-bench-pages-{}", std::process::id()));
    let _cleanup = Cleanup(folder.clone());
    let demo = Demo::start(&folder, &visitors.to_string())?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut reader = Reader { agent, cookie: String::new() };
    reader.cookie = reader.get(&demo.sign_in)?.cookie.context("the demo did not sign us in")?;
    step("visitors walk");
    std::thread::sleep(WARM);
    let pages = crawl(&reader, &demo.url, step)?;
    let mut rows = Vec::new();
    for (shape, path) in &pages {
        step(path);
        let mut times = Vec::with_capacity(ROUNDS);
        let mut weight = 0;
        for _ in 0..ROUNDS {
            let answer = reader.get(&format!("{}{path}", demo.url))?;
            anyhow::ensure!(answer.status == 200, "{path} answered {}", answer.status);
            times.push(answer.first_byte_ms);
            weight = weight.max(answer.body.len());
        }
        times.sort_by(f64::total_cmp);
        let heavy = if weight > WEIGHT_BYTES { ", too heavy" } else { "" };
        let note = format!("{:.1} kB of at most {}{heavy}", weight as f64 / 1e3, WEIGHT_BYTES / 1_000);
        rows.push((times[ROUNDS / 2], times[ROUNDS - 1], weight, shape.clone(), note));
    }
    Ok(told(rows))
}

/// Rows, the slowest first, below the whole in one line.
fn told(mut pages: Vec<(f64, f64, usize, String, String)>) -> Vec<Row> {
    pages.sort_by(|a, b| b.0.total_cmp(&a.0));
    let row = |what: String, figure: f64, note: String| Row {
        what,
        figure,
        unit: "ms",
        bar: Some(Bar::AtMost(FIRST_BYTE_MS)),
        note,
    };
    let heaviest = pages.iter().map(|p| p.2).max().unwrap_or(0);
    let late = pages.iter().filter(|p| p.0 > FIRST_BYTE_MS).count();
    let slowest = pages.first().map_or(0.0, |p| p.0);
    let all =
        format!("{} pages, {late} above the bar; heaviest {:.1} kB", pages.len(), heaviest as f64 / 1e3);
    let mut rows = vec![row("first byte, slowest page's median".into(), slowest, all)];
    rows.extend(
        pages.into_iter().map(|(median, most, _, shape, note)| {
            row(shape, median, format!("at most {most:.1} ms; {note}"))
        }),
    );
    rows
}

/// One page of each shape that links lead to.
fn crawl(reader: &Reader, base: &str, step: &mut dyn FnMut(&str)) -> Result<BTreeMap<String, String>> {
    let mut open: VecDeque<String> = ["/console", "/record", "/study"].map(str::to_owned).into();
    let (mut asked, mut pages) = (BTreeSet::new(), BTreeMap::new());
    while let Some(path) = open.pop_front().filter(|_| pages.len() < PAGES_MAX) {
        let shape = shape(&path);
        if path.ends_with("/frame") || pages.contains_key(&shape) || !asked.insert(path.clone()) {
            continue;
        }
        step(&path);
        let answer = reader.get(&format!("{base}{path}"))?;
        if answer.status == 200 && answer.is_page {
            open.extend(links(&answer.body));
            pages.insert(shape, path);
        }
    }
    anyhow::ensure!(pages.len() > 20, "only {} pages were found", pages.len());
    Ok(pages)
}
fn links(html: &str) -> Vec<String> {
    let hrefs = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    hrefs
        .map(|href| href.split('#').next().unwrap_or_default().replace("&amp;", "&"))
        .filter(|href| ["/console", "/record", "/study"].iter().any(|start| href.starts_with(start)))
        .filter(|href| !href.contains("/template/"))
        .collect()
}
/// An address with its numbers taken out, so that two ads are one page.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let piece = |piece: &str| {
        let digits = piece.bytes().any(|b| b.is_ascii_digit());
        if digits { "*".to_owned() } else { piece.to_owned() }
    };
    path.split('/').map(piece).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ads_are_one_page_and_links_are_of_pages() {
        assert_eq!(shape("/console/ads/ad_7/versions/ver_2?x=1"), "/console/ads/*/versions/*");
        assert_eq!(shape("/record"), "/record");
        let html = r#"<a href="/console/ads/ad_1?a=1&amp;b=2#top"><a href="https://elsewhere.example/"><a href="/static/x.css">"#;
        assert_eq!(links(html), ["/console/ads/ad_1?a=1&b=2"]);
    }
    #[test]
    fn the_slowest_page_stands_first_beside_the_bar() {
        let rows = told(vec![
            (3.0, 9.0, 10, "/a".into(), String::new()),
            (70.0, 90.0, 300_000, "/b".into(), String::new()),
        ]);
        assert_eq!(
            rows.iter().map(|r| r.what.as_str()).collect::<Vec<_>>(),
            ["first byte, slowest page's median", "/b", "/a"]
        );
        assert!(rows[0].note.contains("2 pages, 1 above the bar; heaviest 300.0 kB"), "{}", rows[0].note);
    }
}
