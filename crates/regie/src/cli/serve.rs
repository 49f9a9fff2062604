//! `regie serve`: runs the server until it is asked to stop.

use super::{Cli, progress};
use crate::{platform::folder::Folder, server::Server};
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Arguments of `regie serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on, such as 127.0.0.1:8080; port 0 takes any free one.
    #[arg(long)]
    listen: Option<String>,
}

/// Runs it.
///
/// # Errors
/// As [`Server::start`] and [`Server::run_until_signal`].
pub fn run(cli: &Cli, args: &ServeArgs) -> Result<ExitCode> {
    let folder = Folder::open(&cli.folder)?;
    let mut flags = cli.flags()?;
    flags.extend(args.listen.iter().map(|listen| ("listen".to_owned(), listen.clone())));
    let config = crate::config::Config::load(&cli.folder, cli.config.as_deref(), &flags)?;
    super::start_logging(&config);
    super::runtime(config.workers)?.block_on(async {
        let bar = progress::bar("replaying the journal's tail", cli.json);
        let mut step = |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let server = Server::start(&folder, config, axum::Router::new(), &mut step).await?;
        bar.finish_and_clear();
        announce(cli, &server)?;
        server.run_until_signal().await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Says where the server is, and how to begin.
fn announce(cli: &Cli, server: &Server) -> Result<()> {
    let base = &server.app.config.public_url;
    let link = crate::http::auth::first_owner_link(&server.app.platform, &server.app.config)?;
    if cli.json {
        println!(
            "{}",
            serde_json::json!({ "url": base, "address": server.address, "pid": std::process::id(), "owner_link": link })
        );
    } else {
        println!("Regie is running at {base}");
        println!("  console  {base}/console");
        println!("  record   {base}/record");
        if let Some(link) = link {
            println!("  set up the first owner within 24 hours: {link}");
        }
    }
    Ok(())
}
