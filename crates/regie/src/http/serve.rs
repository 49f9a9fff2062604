//! Connections: HTTP/1.1 over TCP, with TLS where certificate files are configured. Bounded in headers and time.

use crate::config::Config;
use anyhow::Result;
use axum::{Router, extract::ConnectInfo};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tower_service::Service;

/// Longest wait for a request's headers.
const HEADERS_MS: u64 = 15_000;
/// Bytes of request headers at most.
const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Accepts connections until told to stop, then lets open ones finish.
///
/// # Errors
/// Certificate files that cannot be read.
pub fn spawn(
    listener: TcpListener,
    router: Router,
    config: &Config,
    stop: watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<()>> {
    #[cfg(feature = "tls")]
    let tls = tls::acceptor(config)?;
    #[cfg(not(feature = "tls"))]
    if config.tls_certificate.is_some() {
        anyhow::bail!("this build has no TLS; build with `--features tls`, or put a proxy before it");
    }
    Ok(tokio::spawn(async move {
        let mut stopping = stop.clone();
        let connections = tokio::task::JoinSet::new();
        let mut connections = connections;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.changed() => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((stream, peer)) = accepted else {
                // Out of file descriptors, most likely: let some go first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (router, stop) = (router.clone(), stop.clone());
            #[cfg(feature = "tls")]
            if let Some(acceptor) = tls.clone() {
                connections.spawn(async move {
                    let handshake =
                        tokio::time::timeout(Duration::from_millis(HEADERS_MS), acceptor.accept(stream));
                    if let Ok(Ok(stream)) = handshake.await {
                        connection(TokioIo::new(stream), peer, router, stop).await;
                    }
                });
                continue;
            }
            connections.spawn(connection(TokioIo::new(stream), peer, router, stop));
        }
        // Nobody new waits for an answer that will not come.
        drop(listener);
        while connections.join_next().await.is_some() {}
    }))
}

async fn connection<I>(io: I, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(HEADERS_MS));
    builder.max_buf_size(HEADERS_BYTES_MAX).pipeline_flush(true);
    let serving = builder.serve_connection(io, service);
    tokio::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => { let _ = result; }
        _ = stop.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    //! TLS from certificate files.
    use crate::config::Config;
    use anyhow::{Context, Result};
    use std::sync::Arc;
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    };

    /// The acceptor of the configured files, if any.
    pub fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>> {
        let (Some(certificate), Some(key)) = (&config.tls_certificate, &config.tls_key) else {
            return Ok(None);
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .with_context(|| format!("cannot read {}", certificate.display()))?
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{} is not a PEM certificate chain", certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("{} is not a PEM private key", key.display()))?;
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        Ok(Some(TlsAcceptor::from(Arc::new(server))))
    }
}
