//! The little that is needed of HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use confiture::config::Connection;
use confiture::schema_to_schema::tell;
use confiture::{Error, ErrorKind, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::control;
use super::guard::{Door, Refusal};
use super::page::PAGE;
use super::state::State;

/// Connections at a time.
const CONNECTIONS: usize = 64;

/// How long a request's head may take to come.
const HEAD: Duration = Duration::from_secs(10);

/// The longest order.
const BODY: usize = 4096;

/// What a wrong token costs, so that guessing takes for ever.
const WRONG: Duration = Duration::from_millis(500);

type Answer = Response<Full<Bytes>>;

/// What all requests share.
struct House {
    state: Arc<State>,
    door: Door,
    target: Connection,
    /// One wrong token at a time is waited for.
    wrong: Semaphore,
}

/// Listens.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let hint = match taken {
            true => "somebody listens there already: name another port with --listen 127.0.0.1:PORT",
            false => "--listen takes an address of this machine and a port, as 127.0.0.1:8787",
        };
        Error::new(ErrorKind::Usage, format!("cannot listen on {address}")).hint(hint).because(error)
    })
}

/// Answers until it is dropped.
pub(super) async fn run(listener: TcpListener, state: Arc<State>, door: Door, mut target: Connection) {
    // The audit trail tells the page from the keyboard.
    target.actor = target.actor.map(|actor| format!("{actor}, by the monitor"));
    let house = Arc::new(House { state, door, target, wrong: Semaphore::new(1) });
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let house = Arc::clone(&house);
                async move { Ok::<_, Infallible>(answer(&house, request).await) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // A browser that goes away in the middle is none of our business.
            drop(serving.await);
            drop(place);
        });
    }
}

async fn answer(house: &House, request: Request<Incoming>) -> Answer {
    let is_post = request.method() == Method::POST;
    let path = request.uri().path().to_owned();
    if path == "/control" && is_post {
        return match house.door.may_tell(request.headers()) {
            Ok(()) => told(house, request).await,
            Err(refusal) => refuse(house, refusal).await,
        };
    }
    if let Err(refusal) = house.door.may_look(request.headers()) {
        return refuse(house, refusal).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
    }
    match path.as_str() {
        "/" => page(),
        "/status.json" => {
            let since = request.uri().query().and_then(|query| query.strip_prefix("since="));
            let since = since.and_then(|since| since.parse().ok()).unwrap_or(0);
            answer_json(StatusCode::OK, &house.state.document(since))
        }
        "/metrics" => {
            reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", house.state.metrics().into())
        }
        "/healthz" => text(StatusCode::OK, "ok"),
        _ => text(StatusCode::NOT_FOUND, "there is /, /status.json, /metrics and /healthz"),
    }
}

/// Tells a run what the page says.
async fn told(house: &House, request: Request<Incoming>) -> Answer {
    let body = Limited::new(request.into_body(), BODY).collect().await;
    let order = body.ok().and_then(|body| control::parse(&body.to_bytes()));
    let Some(order) = order else {
        return answer_json(StatusCode::BAD_REQUEST, &json!({ "error": "this is no order" }));
    };
    match tell(&house.target, order).await {
        Ok(()) => answer_json(StatusCode::OK, &json!({ "ok": true })),
        Err(error) => {
            let status = match error.kind() {
                ErrorKind::Config => StatusCode::CONFLICT,
                ErrorKind::Connect => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            answer_json(status, &json!({ "error": error.message() }))
        }
    }
}

async fn refuse(house: &House, refusal: Refusal) -> Answer {
    let (status, why) = match refusal {
        Refusal::Host => {
            (StatusCode::FORBIDDEN, "this listens to localhost only: open it by http://localhost")
        }
        Refusal::Origin => (StatusCode::FORBIDDEN, "another page may not tell a run anything"),
        Refusal::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "an order is application/json"),
        Refusal::NoControl => {
            (StatusCode::FORBIDDEN, "started without --allow-control: this page only looks")
        }
        Refusal::Token => {
            let turn = house.wrong.acquire().await;
            sleep(WRONG).await;
            drop(turn);
            (StatusCode::UNAUTHORIZED, "the token is missing or wrong")
        }
    };
    let mut answer = answer_json(status, &json!({ "error": why }));
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn page() -> Answer {
    let mut answer =
        reply(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.html.as_bytes()));
    if let Ok(policy) = HeaderValue::from_str(&PAGE.policy) {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

fn answer_json(status: StatusCode, value: &serde_json::Value) -> Answer {
    reply(status, "application/json", value.to_string().into())
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    reply(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
