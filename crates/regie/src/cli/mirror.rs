//! `regie mirror`: a copy of a record's log that can be served when its origin is gone, and bringing a log to somebody else's
//! mirror (C2SP tlog-mirror).
//!
//! What is new must go on from what the copy has: two histories are told, with evidence, and nothing is overwritten. Serves files
//! alone, read-only, under the origin's hash and at the root.

use super::{
    Cli, progress,
    verify::{policy_of, source_of},
};
use crate::platform::log::{
    client::{HttpMirror, Roots},
    files::FolderFiles,
};
use anyhow::{Context, Result, bail};
use axum::{
    Router,
    extract::{Path as UrlPath, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Args;
use regie_record::log::{
    Checkpoint, Policy, VerifierKey,
    evidence::compare,
    mirror::{copy, folder_of},
    push::push,
    read::{CHECKPOINT_PATH, Source},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `regie mirror`.
#[derive(Debug, Args)]
pub struct MirrorArgs {
    /// Address or folder of the log; none to serve, or to push, what was copied before.
    log: Option<String>,
    /// Folder of the copy.
    #[arg(long, required_unless_present = "push")]
    to: Option<PathBuf>,
    /// A mirror to bring the log to, entries without their objects: its key and its address, `VKEY URL`.
    #[arg(long, value_name = "MIRROR")]
    push: Option<String>,
    /// Whom you trust: a policy file (c2sp.org/tlog-policy).
    #[arg(long, conflicts_with = "key")]
    policy: Option<PathBuf>,
    /// Only the log's key.
    #[arg(long)]
    key: Option<String>,
    /// Certificate authorities (PEM) that `https://` trusts in place of those that browsers trust.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Serve the copy at this address afterwards, such as 127.0.0.1:8090.
    #[arg(long)]
    serve: Option<std::net::SocketAddr>,
    /// Where to write evidence of two histories.
    #[arg(long, default_value = "evidence.json")]
    write_evidence: PathBuf,
}

/// Runs it.
///
/// # Errors
/// A log that cannot be read or is another history than the copy; an address in use.
pub fn run(cli: &Cli, args: &MirrorArgs) -> Result<ExitCode> {
    let policy = policy_of(args.policy.as_deref(), args.key.as_deref())?;
    let origin = policy.logs.first().context("the policy names no log")?.key.name().to_owned();
    let folder = args.to.as_deref().map(|to| (to, to.join(folder_of(&origin))));
    if let (Some(log), Some((to, folder))) = (&args.log, &folder) {
        copy_log(cli, args, &policy, log, to, folder)?;
    }
    if let Some(mirror) = &args.push {
        let mut mirror = HttpMirror::parse(mirror, &Roots::of_file(args.ca.as_deref())?)?;
        let mut from: Box<dyn Source> = match (&folder, &args.log) {
            (Some((_, folder)), _) => Box::new(FolderFiles::new(folder)?),
            (None, Some(log)) => source_of(log, &policy, args.ca.as_deref())?,
            (None, None) => bail!("name a log, or a copy with --to"),
        };
        push_log(cli, &mut *from, &policy.log_keys(), &mut mirror)?;
    }
    if let (Some(address), Some((_, folder))) = (args.serve, &folder) {
        serve(cli, folder, &origin, address)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn copy_log(
    cli: &Cli,
    args: &MirrorArgs,
    policy: &Policy,
    log: &str,
    to: &Path,
    folder: &Path,
) -> Result<()> {
    let mut from = source_of(log, policy, args.ca.as_deref())?;
    let mut copied_to = FolderFiles::new(folder)?;
    if let Some(older) = Source::get(&mut copied_to, CHECKPOINT_PATH)? {
        let newer = from.get(CHECKPOINT_PATH)?.context("the log shows no checkpoint")?;
        if let Err(evidence) = compare(&mut *from, &older, &newer, &policy.log_keys())? {
            std::fs::write(&args.write_evidence, evidence.to_text())?;
            bail!(
                "{log} shows another history than this copy. Nothing was changed; the proof is in {}",
                args.write_evidence.display()
            );
        }
    }
    let bar = progress::bar("copying", cli.json);
    let copied = copy(&mut *from, &mut copied_to, &policy.log_keys(), true, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let origin = &copied.checkpoint.origin;
    std::fs::write(to.join("README.txt"), readme(origin))?;
    let (size, files, absent) = (copied.checkpoint.size, copied.files_count, copied.absent_count);
    if cli.json {
        println!(
            "{}",
            serde_json::json!({ "origin": origin, "entries": size, "files": files, "absent_objects": absent })
        );
    } else {
        println!("Copied {files} files: {size} entries of {origin}, to {}.", folder.display());
        println!("Check the copy, without the network: regie verify {} --key ...", to.display());
    }
    Ok(())
}

fn push_log(cli: &Cli, from: &mut dyn Source, keys: &[VerifierKey], mirror: &mut HttpMirror) -> Result<()> {
    let bar = progress::bar("pushing", cli.json);
    let pushed = push(from, keys, mirror, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let (size, sent) = (pushed.checkpoint.size, pushed.entries_count);
    if cli.json {
        let told = serde_json::json!({
            "origin": pushed.checkpoint.origin, "mirrored_entries": size, "sent_entries": sent,
            "requests": pushed.requests_count, "cosignature": pushed.line,
        });
        println!("{told}");
    } else {
        println!(
            "The mirror has all {size} entries of {} ({sent} sent), and says so:",
            pushed.checkpoint.origin
        );
        println!("{}", pushed.line);
    }
    Ok(())
}

fn readme(origin: &str) -> String {
    format!(
        "A copy of the public record {origin}.\n\nThe folder {} has its checkpoint, tiles, entries and objects as static files\n(c2sp.org/tlog-tiles, c2sp.org/tlog-mirror). Any web server can serve it.\n",
        folder_of(origin)
    )
}

fn serve(cli: &Cli, folder: &Path, origin: &str, address: std::net::SocketAddr) -> Result<()> {
    let mut files = FolderFiles::new(folder)?;
    let bytes = Source::get(&mut files, CHECKPOINT_PATH)?.context("there is no copy yet")?;
    let size = Checkpoint::parse(&regie_record::log::Note::parse(&bytes)?.text)?.size;
    let router = Router::new()
        .route("/", get(front))
        .route("/verify.html", get(|| async { axum::response::Html(crate::http::log::VERIFY_PAGE) }))
        .route("/{*path}", get(file))
        .with_state((files, origin.to_owned(), size));
    super::runtime(2)?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        if cli.json {
            println!(
                "{}",
                serde_json::json!({ "url": format!("http://{address}"), "origin": origin, "entries": size })
            );
        } else {
            println!("Serving the copy of {origin} at http://{address}, read-only.");
        }
        axum::serve(listener, router).with_graceful_shutdown(crate::server::signal()).await?;
        Ok(())
    })
}

type Copy = (FolderFiles, String, u64);

async fn front(State((_, origin, size)): State<Copy>) -> Response {
    let words = format!(
        "This is a mirror of the public record {origin}: {size} entries, as copied. Its origin may be gone.\n\ncheckpoint\ntile/...\nobject/...\nverify.html\n"
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}

async fn file(State((mut files, origin, _)): State<Copy>, UrlPath(path): UrlPath<String>) -> Response {
    let bare = path.strip_prefix(&format!("{}/", folder_of(&origin))).unwrap_or(&path).to_owned();
    let work = move || {
        if crate::platform::log::files::is_log_path(&bare) {
            Source::get(&mut files, &bare)
        } else {
            Ok(None)
        }
    };
    let kind = if path.ends_with(CHECKPOINT_PATH) {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(Some(bytes))) => {
            ([(header::CONTENT_TYPE, kind), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], bytes)
                .into_response()
        }
        Ok(Ok(None)) => (StatusCode::NOT_FOUND, "there is no such file in this copy\n").into_response(),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the copy cannot be read\n").into_response(),
    }
}
