//! `regie demo`: a whole advertising business in one command: newspaper, advertisers, visitors, money, public record.

use super::{Cli, progress};
use crate::{
    demo::{
        bookings,
        desk::Desk,
        keep::{self, Kept},
        pages::{self, Facts},
        visitors::{Setting, Visitors},
    },
    http::App,
    platform::{folder::Folder, secrets::random_bytes},
    server::Server,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_model::{Currency, Nanos, SiteId};
use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

/// Data folder unless one is given.
const FOLDER: &str = ".regie/demo";

/// Arguments of `regie demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Port to listen on, on this machine only; 0 takes any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Simulated visitors a second, on average; 0 leaves the pages to you.
    #[arg(long, default_value_t = 12.0)]
    visitors: f64,
    /// End after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Throw the demo's data folder away first.
    #[arg(long)]
    fresh: bool,
    /// Fixes what the visitors do.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it until it is asked to stop.
///
/// # Errors
/// As [`Server::start`]; a folder that is not the demo's.
pub fn run(cli: &Cli, args: &DemoArgs) -> Result<ExitCode> {
    if !(0.0..=1_000.0).contains(&args.visitors) {
        bail!("--visitors is 0 to 1000 a second, not {}", args.visitors);
    }
    let root = if cli.folder == Path::new(super::DEFAULT_FOLDER) {
        PathBuf::from(FOLDER)
    } else {
        cli.folder.clone()
    };
    if args.fresh {
        throw_away(&root)?;
    }
    let folder = Folder::open(&root)?;
    let mut flags = vec![
        ("listen".to_owned(), format!("127.0.0.1:{}", args.port)),
        ("log_filter".to_owned(), "warn".to_owned()),
        ("traffic_flush_ms".to_owned(), "1000".to_owned()),
    ];
    flags.extend(cli.flags()?);
    let config = crate::config::Config::load(&root, cli.config.as_deref(), &flags)?;
    super::start_logging(&config);
    super::runtime(config.workers)?.block_on(async {
        let facts: pages::Shared = Arc::new(OnceLock::new());
        let bar = progress::bar("reading the demo's journal", cli.json);
        let mut step = |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let server = Server::start(&folder, config, pages::router(Arc::clone(&facts)), &mut step).await?;
        bar.finish_and_clear();
        let app = Arc::clone(&server.app);
        let (shared, path) = (Arc::clone(&facts), folder.root().to_path_buf());
        let ready = tokio::task::spawn_blocking(move || prepare(&app, &shared, &path)).await?;
        let stage = match ready {
            Ok(stage) => stage,
            Err(error) => {
                server.stop().await?;
                return Err(error);
            }
        };
        show(cli, &stage);
        let visitors =
            (args.visitors > 0.0).then(|| Visitors::start(setting(&server.app, &stage, args))).transpose()?;
        let status = tokio::spawn(status(Arc::clone(&server.app), cli.json));
        let ended = match args.seconds {
            Some(seconds) => {
                tokio::select! {
                    result = tokio::time::sleep(Duration::from_secs(seconds)) => { let () = result; }
                    () = crate::server::signal() => {}
                }
                leave(visitors).await;
                server.stop().await
            }
            None => {
                crate::server::signal().await;
                leave(visitors).await;
                server.stop().await
            }
        };
        status.abort();
        if !cli.json {
            println!(
                "\nThe demo's data stays in {}; start it again to go on, or with --fresh to begin anew.",
                folder.root().display()
            );
        }
        ended
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn leave(visitors: Option<Visitors>) {
    if let Some(visitors) = visitors {
        // They end by themselves; a failure to wait changes nothing.
        let _ = tokio::task::spawn_blocking(move || visitors.stop()).await;
    }
}

/// Removes a folder that is the demo's, or empty; refuses any other.
fn throw_away(root: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", root.display())),
    };
    if entries > 0 && !root.join(keep::FILE).exists() {
        bail!(
            "{} holds something that is not a demo; --fresh removes only demos. Choose another --folder.",
            root.display()
        );
    }
    std::fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))
}

/// Where everything is.
struct Stage {
    ads: String,
    pages: String,
    site: SiteId,
    kept: Kept,
    sign_in: Option<String>,
}

/// Books what is missing and tells the pages.
fn prepare(app: &Arc<App>, facts: &pages::Shared, folder: &Path) -> Result<Stage> {
    let ads = app.config.public_url.clone();
    let local = app.config.listen.ip().is_loopback();
    // The newspaper has an origin of its own, as in life: the same server under its other name.
    let pages =
        if local && ads.contains("127.0.0.1") { ads.replace("127.0.0.1", "localhost") } else { ads.clone() };
    let mut origins = vec![pages.clone()];
    if pages != ads {
        origins.push(ads.clone());
    }
    let is_empty = app.platform.catalogue().publisher.is_none();
    if !is_empty && !folder.join(keep::FILE).exists() {
        bail!("{} holds an installation that is not the demo's; choose another --folder", folder.display());
    }
    let kept = keep::load_or_make(&app.platform, folder)?;
    let desk = Desk::new(Arc::clone(&app.platform), pages.clone());
    if is_empty {
        bookings::book(&desk, origins)?
    } else {
        bookings::move_to(&desk, origins)?
    }
    let site = *app.platform.catalogue().sites.keys().next().context("the demo has no site")?;
    crate::demo::study::fill(app)?;
    let key = random_bytes()?[..12].iter().map(|b| format!("{b:02x}")).collect::<String>();
    let sign_in = local.then(|| format!("{ads}/demo/console?key={key}"));
    let told = Facts { site, ads: ads.clone(), kept: kept.clone(), sign_in_key: local.then_some(key) };
    if facts.set(told).is_err() {
        bail!("the demo's pages were told twice");
    }
    Ok(Stage { ads, pages, site, kept, sign_in })
}

fn setting(app: &App, stage: &Stage, args: &DemoArgs) -> Setting {
    Setting {
        ads: stage.ads.clone(),
        pages: stage.pages.clone(),
        site: stage.site,
        kept: stage.kept.clone(),
        appeals: bookings::appeals(&app.platform.catalogue()),
        templates: bookings::templates(&app.platform.catalogue()),
        per_second: args.visitors,
        seed: args.seed,
    }
}

/// Prints the addresses: one tidy block, or one line of JSON.
fn show(cli: &Cli, stage: &Stage) {
    let Stage { ads, pages, site, kept, sign_in } = stage;
    if cli.json {
        let line = serde_json::json!({
            "demo": format!("{pages}/demo"), "pages": pages, "url": ads, "console": format!("{ads}/console"), "sign_in": sign_in,
            "record": format!("{ads}/record"), "email": kept.email, "password": kept.password, "token": kept.api_token,
            "conversions_token": kept.conversions_token, "site": site, "pid": std::process::id(),
        });
        println!("{line}");
        return;
    }
    let sign_in = sign_in.clone().unwrap_or_else(|| format!("{ads}/console"));
    println!(
        "\n  Regie – a demo: an invented newspaper, its advertisers and its readers.\n\n\
         \x20 1. Read the newspaper; its ads are live       {pages}/demo\n\
         \x20 2. Watch money and figures in the console     {sign_in}\n\
         \x20    (signs you in; or as {}, password {})\n\
         \x20 3. See in public who paid for which ad        {ads}/record\n\
         \x20 4. Read a study of another platform's archive {ads}/study\n\
         \x20 5. See what readers like, and Regie find out  {pages}/demo/taste\n\n\
         \x20 Ctrl-C ends it.\n",
        kept.email, kept.password
    );
}

/// One line, renewed each second: what is decided, counted and billed.
async fn status(app: Arc<App>, json: bool) {
    let terminal = std::io::stdout().is_terminal();
    let mut beat: u64 = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        beat += 1;
        if json || !terminal && !beat.is_multiple_of(10) {
            continue;
        }
        let line = figures(&app);
        let mut out = std::io::stdout().lock();
        // Nobody reads it any more: nothing to do about that.
        let _ = if terminal { write!(out, "\r\x1b[2K  {line}") } else { writeln!(out, "  {line}") };
        let _ = out.flush();
    }
}

fn figures(app: &App) -> String {
    let (mut impressions, mut clicks, mut orders, mut nanos) = (0, 0, 0, 0);
    {
        let folds = app.platform.folds();
        for (_, counters) in folds.ledger.ads() {
            impressions += counters.impressions_count;
            clicks += counters.clicks_count;
            orders += counters.conversions_count;
            nanos += counters.net_nanos().0;
        }
    }
    let decided = app.metrics.decisions_count.load(Ordering::Relaxed);
    let spent = Nanos(nanos).display(Currency::EUR, 2);
    format!(
        "{decided} decisions now  |  since the beginning: {impressions} impressions, {clicks} clicks, {orders} orders, EUR {spent} billed"
    )
}
