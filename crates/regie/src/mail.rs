//! Mail: set-up and reset links, and links to reports made by the clock, where a mail server is configured (feature `smtp`). Links can always be handed over by hand.

use crate::config::Config;

/// Whether links can be sent by mail.
pub fn is_configured(config: &Config) -> bool {
    cfg!(feature = "smtp") && config.smtp_url.is_some()
}

/// Sends a plain text.
///
/// # Errors
/// An address that is none, or what the mail server said; for the log, never for the caller.
#[cfg(feature = "smtp")]
pub async fn send(config: &Config, to: &str, subject: &str, body: &str) -> anyhow::Result<()> {
    use anyhow::Context;
    use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
    let url = config.smtp_url.as_deref().context("smtp_url is not set")?;
    let message = Message::builder()
        .from(config.smtp_from.parse().context("smtp_from is no address")?)
        .to(to.parse().context("the recipient's address is none")?)
        .subject(subject)
        .body(body.to_owned())?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).context("smtp_url")?.build();
    transport.send(message).await.context("the mail server refused")?;
    Ok(())
}

/// Sends nothing: this build has no mail.
///
/// # Errors
/// Always.
#[cfg(not(feature = "smtp"))]
pub async fn send(_config: &Config, _to: &str, _subject: &str, _body: &str) -> anyhow::Result<()> {
    anyhow::bail!("this build cannot send mail; build with `--features smtp`")
}
