//! Connections: HTTP/1.1 over TCP, with TLS where certificate files are configured. Bounded in headers and time.

use super::{AppState, decisions, problem::Problem};
use crate::config::Config;
use anyhow::Result;
use axum::{Router, body::Bytes, extract::ConnectInfo, response::Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch};
use tower_service::Service;

/// Longest wait for a request's headers.
const HEADERS_MS: u64 = 15_000;
/// Longest wait for the next part of a request's body.
const BODY_PART_MS: u64 = 15_000;
/// Longest wait for a request's whole body, besides what comes steadily: each so many bytes buy a millisecond more.
const BODY_MS: u64 = 300_000;
/// A body may take longer while it comes at 128 KiB a second or faster; routes limit its size.
const BYTES_PER_MS_MIN: u64 = 128;
/// Bytes of request headers at most.
const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are still read of a body over its limit: who sent somewhat too much gets an answer, not a broken line.
const DRAINED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Reads a whole body of at most `max_bytes`. One that comes in one part, as short ones do, is not copied.
///
/// # Errors
/// A body over the limit, or one that breaks off.
pub async fn read<B>(body: B, max_bytes: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    let (mut first, mut rest, mut count) = (Bytes::new(), Vec::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Problem::bad_request(e.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        count += data.len();
        if count > max_bytes.max(DRAINED_BYTES_MAX) {
            break;
        }
        match (count > max_bytes, first.is_empty()) {
            (true, _) => {}
            (false, true) => first = data,
            (false, false) => rest.extend_from_slice(&data),
        }
    }
    if count > max_bytes {
        return Err(Problem::too_large(max_bytes));
    }
    Ok(if rest.is_empty() { first } else { [first.as_ref(), &rest].concat().into() })
}

/// What answers requests: everything by its route, and where `hot` is given the one route that is asked most without
/// looking for it among all others.
#[derive(Clone)]
pub struct Answers {
    /// Every route.
    pub router: Router,
    /// The application, for the hot route.
    pub hot: Option<AppState>,
}
impl From<Router> for Answers {
    fn from(router: Router) -> Answers {
        Answers { router, hot: None }
    }
}
impl Answers {
    async fn answer(
        mut self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response, std::convert::Infallible> {
        let mut request = request.map(Timed::new);
        if let Some(app) = self.hot.filter(|_| decisions::is_hot(&request)) {
            let (head, body) = request.into_parts();
            return Ok(decisions::hot(&app, peer, &head.headers, body).await);
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        self.router.call(request).await
    }
}

/// Accepts connections until told to stop, then lets open ones finish.
///
/// # Errors
/// Certificate files that cannot be read.
pub fn spawn(
    listener: TcpListener,
    answers: impl Into<Answers>,
    config: &Config,
    stop: watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<()>> {
    #[cfg(feature = "tls")]
    let tls = tls::acceptor(config)?;
    #[cfg(not(feature = "tls"))]
    if config.tls_certificate.is_some() {
        anyhow::bail!("this build has no TLS; build with `--features tls`, or put a proxy before it");
    }
    let answers = answers.into();
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
            let (answers, stop) = (answers.clone(), stop.clone());
            #[cfg(feature = "tls")]
            if let Some(acceptor) = tls.clone() {
                connections.spawn(async move {
                    let handshake =
                        tokio::time::timeout(Duration::from_millis(HEADERS_MS), acceptor.accept(stream));
                    if let Ok(Ok(stream)) = handshake.await {
                        connection(TokioIo::new(stream), peer, answers, stop).await;
                    }
                });
                continue;
            }
            connections.spawn(connection(TokioIo::new(stream), peer, answers, stop));
        }
        // Nobody new waits for an answer that will not come.
        drop(listener);
        while connections.join_next().await.is_some() {}
    }))
}

async fn connection<I>(io: I, peer: SocketAddr, answers: Answers, mut stop: watch::Receiver<bool>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request| answers.clone().answer(request, peer));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(HEADERS_MS));
    // Without `pipeline_flush`: it holds answers back while bytes wait to be read, and refusals of bad heads for ever.
    builder.max_buf_size(HEADERS_BYTES_MAX);
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

/// A request's body that has to keep coming: who stops in the middle does not hold a connection.
struct Timed {
    body: Incoming,
    /// When the first wait began.
    since: Option<Instant>,
    /// What has come.
    count_bytes: u64,
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
}
impl Timed {
    fn new(body: Incoming) -> Timed {
        Timed { body, since: None, count_bytes: 0, wait: None }
    }
}
impl Body for Timed {
    type Data = bytes::Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.wait = None;
            if let Some(Ok(part)) = &frame {
                self.count_bytes += part.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|part| part.map_err(Into::into)));
        }
        let allowed_ms = BODY_MS + self.count_bytes / BYTES_PER_MS_MIN;
        let end = *self.since.get_or_insert_with(Instant::now) + Duration::from_millis(allowed_ms);
        let next = Instant::now() + Duration::from_millis(BODY_PART_MS);
        let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next.min(end).into())));
        wait.as_mut().poll(context).map(|()| Some(Err("the body did not come in time".into())))
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
