//! Traces to a collector, by OTLP over HTTP. What is told, and when, is others' to say: this begins spans and sends them.
//!
//! The SDK queues what has ended, in a queue with a bound, and its own thread sends it: nobody waits, and what does not fit is
//! dropped. What is traced crosses from one input of the node's loop to another, so spans are begun and ended by hand, and not
//! by the scopes that `tracing` has.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use evenkeel_core::ids::NodeId;
use opentelemetry::trace::{SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceId, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider, Span};
use tokio::runtime::Handle;

use crate::seldom::Seldom;

/// Where collectors take traces.
const PATH: &str = "/v1/traces";

/// Time that a collector has to take what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends traces. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Telemetry(Arc<Inner>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Telemetry {
    /// Begins to send to the collector at this URL, in the name of a node. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If that is no URL. A collector that is not there is no error.
    pub(crate) fn start(url: &str, sample: f64, node: NodeId, name: &str) -> anyhow::Result<Telemetry> {
        let base = url.trim_end_matches('/');
        let path = base.split_once("://").map_or(base, |(_, rest)| rest).contains('/');
        let endpoint = if path { base.to_owned() } else { format!("{base}{PATH}") };
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().context("telemetry.otlp")?;
        let courier = Courier { client, runtime: Handle::current(), line: Seldom::default() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(courier)
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE)
            .build()
            .context("telemetry.otlp")?;
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "evenkeel"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", node.to_string()),
                KeyValue::new("host.name", name.to_owned()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(Ids::default())
            .with_sampler(Sampler::TraceIdRatioBased(sample))
            .with_resource(resource)
            .build();
        let scope = InstrumentationScope::builder("evenkeel").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        Ok(Telemetry(Arc::new(Inner { provider, tracer })))
    }

    /// Begins a span that has no parent. Spans of the same `subject` are one trace, whichever nodes begin them.
    pub(crate) fn begin(&self, name: &'static str, subject: Option<&str>, span: SpanBuilder) -> Span {
        NEXT.set(subject.map(trace_of));
        let span = SpanBuilder { name: name.into(), ..span };
        let begun = self.0.tracer.build_with_context(span, &Context::new());
        NEXT.set(None);
        begun
    }

    /// Begins a span within another.
    pub(crate) fn within(&self, parent: &SpanContext, name: &'static str, span: SpanBuilder) -> Span {
        let context = Context::new().with_remote_span_context(parent.clone());
        self.0.tracer.build_with_context(SpanBuilder { name: name.into(), ..span }, &context)
    }

    /// Sends what is left, and waits for that. Blocks; the runtime must go on meanwhile.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.0.provider.shutdown() {
            tracing::debug!(%error, "the last traces were not taken");
        }
    }
}

/// What is told with a span.
pub(crate) fn span(attributes: impl IntoIterator<Item = KeyValue>) -> SpanBuilder {
    SpanBuilder::default().with_attributes(attributes)
}

/// The same of one that began earlier.
pub(crate) fn span_since(begun: SystemTime, attributes: impl IntoIterator<Item = KeyValue>) -> SpanBuilder {
    span(attributes).with_start_time(begun)
}

/// The trace of a subject: a hash, so that all nodes come to the same one.
fn trace_of(subject: &str) -> TraceId {
    let mut hasher = blake3::Hasher::new_derive_key("evenkeel trace id 1");
    hasher.update(subject.as_bytes());
    let hash = hasher.finalize();
    TraceId::from_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
}

thread_local! {
    /// The trace of the span that this thread is about to begin.
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Gives a span the trace that was named for it.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// Carries requests for the SDK, whose thread has no runtime.
struct Courier {
    client: reqwest::Client,
    runtime: Handle,
    line: Seldom,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let url = request.uri().to_string();
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let status = answer.status();
            answer.bytes().await.map(|body| (status, body))
        });
        let answer: Result<Response<Bytes>, HttpError> = match sent.await {
            Ok(Ok((status, body))) => Response::builder().status(status).body(body).map_err(Into::into),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        };
        let trouble = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        if let Some(trouble) = trouble
            && let Some(unsaid) = self.line.due()
        {
            tracing::warn!(%url, unsaid, "the collector does not take traces, and they are dropped: {trouble}");
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_name_the_trace_of_a_document_alike() {
        assert_eq!(trace_of("document 17/3"), trace_of("document 17/3"));
        assert_ne!(trace_of("document 17/3"), trace_of("document 17/4"));
        assert_ne!(trace_of(""), TraceId::INVALID);
    }
}
